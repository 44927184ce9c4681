#!/usr/bin/env bash
# Trains on a TPU VM or a pod of them: made where there is none, made anew after a pre-emption.
#
#   launch/tpu_pod.sh --name=N --zone=Z --type=v5litepod-16 [--version=SOFTWARE] [--spot]
#                     [--project=P] [--bucket=gs://B/FOLDER] [--setup=COMMAND] [--tries=20]
#                     [--pause=60] [--dry-run] -- --config=configs/pascal3d.py ...
#
# What follows -- goes to launch.train on every worker; their output comes here. The checkout's last
# commit is what runs. --setup runs on every worker before (the data, for one). The first worker
# alone writes, to runs/NAME; with --bucket this folder is kept there every five minutes and fetched
# again, so that a run outlives its machines. --version is the TPU's own unless given, --pause the
# seconds before another try. --dry-run prints the commands and runs none.
set -euo pipefail

name='' zone='' type='' version='' project='' bucket='' setup=: tries=20 pause=60 spot='' dry_run=''
# shellcheck source=launch/options.sh
source "$(dirname "$0")/options.sh"
read_options "name zone type version project bucket setup tries pause" "spot dry_run" "name zone type" "$@"

case $type in # the software that Google names for each
v5lite*) usual=v2-alpha-tpuv5-lite ;;
v5p*) usual=v2-alpha-tpuv5 ;;
v6e*) usual=v2-alpha-tpuv6e ;;
*) usual=tpu-ubuntu2204-base ;;
esac

where=(--zone="$zone" ${project:+--project="$project"})

run() { # prints, or runs
  if [ -n "$dry_run" ]; then printf '%q ' "$@"; echo; else "$@"; fi
}
tpu() { # ARGUMENT...: of gcloud's commands about TPU VMs
  run gcloud compute tpus tpu-vm "$@" "${where[@]}"
}
on() { # WORKER COMMAND
  tpu ssh "$name" --worker="$1" --command="$2"
}
state() {
  [ -n "$dry_run" ] || tpu describe "$name" --format='value(state)' 2>/dev/null || true
}
is_gone() { case $1 in PREEMPTED | TERMINATED | '') true ;; *) false ;; esac; }

# Below, every command that may fail says so itself: inside a condition bash's -e is off.

prepare() {
  local now
  now=$(state)
  if is_gone "$now"; then
    [ -z "$now" ] || tpu delete "$name" --quiet || return
    tpu create "$name" --accelerator-type="$type" --version="${version:-$usual}" ${spot:+--spot} || return
  fi
  run git archive --format=tar.gz --output=/tmp/catpose.tar.gz HEAD || return
  tpu scp /tmp/catpose.tar.gz "$name:" --worker=all || return
  # The machine's own Python is older than catpose's.
  on all "mkdir -p catpose && tar xzf catpose.tar.gz -C catpose && cd catpose && pip install --quiet uv && python3 -m uv venv --quiet --allow-existing --python=3.12 ../venv && . ../venv/bin/activate && python3 -m uv pip install --quiet -e '.[tpu]' && $setup"
}

# One object in the bucket, so that it is always a whole one; tar fails where a file changes while
# it is read, and the next one will do.
keep="cd catpose && tar cf /tmp/kept.tar runs/$name && gcloud storage cp --quiet /tmp/kept.tar $bucket/$name.tar"
train() {
  local status=0
  if [ -n "$bucket" ]; then
    # Only where there is surely none does the run begin anew: what it keeps takes the place.
    on 0 "cd catpose && set -o pipefail && if found=\$(gcloud storage ls $bucket/$name.tar 2>&1); then gcloud storage cat $bucket/$name.tar | tar x; else echo \"\$found\" >&2; [[ \$found == *'matched no objects'* ]]; fi" || return
    # Ends by itself when training has; [l] keeps it from finding itself.
    on 0 "nohup bash -c 'sleep 120; while pgrep -f [l]aunch.train; do ($keep); sleep 300; done' >/dev/null 2>&1 &" || return
  fi
  on all "cd catpose && . ../venv/bin/activate && python -m launch.train --distributed --workdir=runs/$name$(printf ' %q' "${training[@]}")" || status=$?
  [ -z "$bucket" ] || on 0 "$keep" || true
  return $status
}

for ((try = 1; try <= tries; try++)); do
  status=0
  { prepare && train; } || status=$?
  [ $status -ne 0 ] || exit 0
  # 143: stopped in time, as before a pre-emption; 255: ssh lost the machine.
  is_gone "$(state)" || [ $status -eq 143 ] || [ $status -eq 255 ] ||
    fail "the run failed, and the TPU VM is there; see above"
  echo "the TPU VM was taken away; try $((try + 1)) of $tries" >&2
  sleep "$pause"
done
fail "taken away $tries times; the same command goes on"
