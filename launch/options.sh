# shellcheck shell=bash
# Sourced by the launchers.

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd) # the checkout, whatever the current folder is

# read_options VALUES SWITCHES NEEDED OPTION... -- TRAINING...
# Of the names in VALUES, --name=X sets $name; of those in SWITCHES, --name sets $name to yes. NEEDED
# must not stay empty. What follows -- goes into the array $training. --help prints the comment at the
# top of the launcher. Says what is wrong and exits.
read_options() {
  local values=" $1 " switches=" $2 " needed=$3 given key
  shift 3
  while [ $# -gt 0 ] && [ "$1" != -- ]; do
    [ "$1" != --help ] || help
    given=${1#--}
    key=${given%%=*}
    key=${key//-/_}
    if [[ $1 == --*=* && $values == *" $key "* ]]; then
      printf -v "$key" %s "${given#*=}"
    elif [[ $1 == --* && $1 != *=* && $switches == *" $key "* ]]; then
      printf -v "$key" yes
    else
      fail "unknown option '$1'; --help lists all, and options of launch.train follow --"
    fi
    shift
  done
  for key in $needed; do
    [ -n "${!key}" ] || fail "--$key is missing; --help says more"
  done
  training=("${@:2}")
  [ ${#training[@]} -gt 0 ] || fail "give launch.train's options behind --, at least --config=FILE"
}

# check PATTERN WHAT OPTION...: the whole value of each option, if it has one, is of this pattern.
# Job files and remote shells read these values.
check() {
  local pattern=$1 what=$2 key
  shift 2
  for key in "$@"; do
    [[ -z ${!key} || ${!key} =~ ^$pattern$ ]] || fail "--$key=${!key} is not $what"
  done
}

# warn_of_changes WHAT: what becomes of changes that are not in the last commit of the checkout.
warn_of_changes() {
  local changes
  changes=$(git -C "$root" status --porcelain 2>/dev/null) || return 0
  [ -z "$changes" ] || printf 'warning: uncommitted changes %s:\n%s\n' "$1" "$changes" >&2
}

help() {
  sed -n '2,${/^#/!q; s/^# \{0,1\}//; p;}' "$0"
  exit
}

fail() {
  echo "error: $1" >&2
  exit 1
}
