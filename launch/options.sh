# shellcheck shell=bash
# Sourced by the launchers.

# read_options VALUES SWITCHES NEEDED OPTION... -- TRAINING...
# Of the names in VALUES, --name=X sets $name; of those in SWITCHES, --name sets $name to yes. NEEDED
# must not stay empty. What follows -- goes into the array $training. Says what is wrong and exits.
read_options() {
  local values=" $1 " switches=" $2 " needed=$3 given key
  shift 3
  while [ $# -gt 0 ] && [ "$1" != -- ]; do
    given=${1#--}
    key=${given%%=*}
    key=${key//-/_}
    if [[ $1 == --*=* && $values == *" $key "* ]]; then
      printf -v "$key" %s "${given#*=}"
    elif [[ $1 == --* && $1 != *=* && $switches == *" $key "* ]]; then
      printf -v "$key" yes
    else
      fail "unknown option '$1'; options of launch.train follow --"
    fi
    shift
  done
  for key in $needed; do
    [ -n "${!key}" ] || fail "--$key is missing"
  done
  training=("${@:2}")
  [ ${#training[@]} -gt 0 ] || fail "give launch.train's options behind --, at least --config=FILE"
}

fail() {
  echo "error: $1" >&2
  exit 1
}
