#!/usr/bin/env bash
# Trains on a TPU VM or a pod of them: made where there is none, made anew after a pre-emption.
#
#   launch/tpu_pod.sh --name=N --zone=Z --type=v5litepod-16 [--version=v2-alpha-tpuv5-lite] [--spot]
#                     [--project=P] [--bucket=gs://B/FOLDER] [--setup=COMMAND] [--tries=20] [--dry-run]
#                     -- --config=configs/pascal3d.py ...
#
# What follows -- goes to launch.train on every worker; their output comes here. The checkout's last
# commit is what runs. --setup runs on every worker before (the data, for one). The first worker
# alone writes, to runs/NAME; with --bucket this folder is kept there every five minutes and fetched
# again, so that a run outlives its machines. --dry-run prints the commands and runs none.
set -euo pipefail

name='' zone='' type='' version=tpu-ubuntu2204-base project='' bucket='' setup=: tries=20 spot='' dry_run=''
# shellcheck source=launch/options.sh
source "$(dirname "$0")/options.sh"
read_options "name zone type version project bucket setup tries" "spot dry_run" "name zone type" "$@"

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

prepare() {
  local now
  now=$(state)
  if is_gone "$now"; then
    [ -z "$now" ] || tpu delete "$name" --quiet
    tpu create "$name" --accelerator-type="$type" --version="$version" ${spot:+--spot}
  fi
  run git archive --format=tar.gz --output=/tmp/catpose.tar.gz HEAD
  tpu scp /tmp/catpose.tar.gz "$name:" --worker=all
  on all "mkdir -p catpose && tar xzf catpose.tar.gz -C catpose && cd catpose && pip install --quiet -e '.[tpu]' && $setup"
}

# One object in the bucket, so that it is always a whole one; tar fails where a file changes while
# it is read, and the next one will do.
keep="cd catpose && tar cf /tmp/kept.tar runs/$name && gcloud storage cp --quiet /tmp/kept.tar $bucket/$name.tar"
train() {
  local status=0
  if [ -n "$bucket" ]; then
    on 0 "cd catpose && if gcloud storage ls $bucket/$name.tar; then gcloud storage cat $bucket/$name.tar | tar x; fi"
    # Ends by itself when training has; [l] keeps it from finding itself.
    on 0 "nohup bash -c 'sleep 120; while pgrep -f [l]aunch.train; do ($keep); sleep 300; done' >/dev/null 2>&1 &"
  fi
  on all "cd catpose && python3 -m launch.train --distributed --workdir=runs/$name$(printf ' %q' "${training[@]}")" || status=$?
  [ -z "$bucket" ] || on 0 "$keep" || true
  return $status
}

for ((try = 1; try <= tries; try++)); do
  if prepare && train; then exit 0; fi
  is_gone "$(state)" || fail "the run failed, and the TPU VM is there; see above"
  echo "the TPU VM was taken away; try $((try + 1)) of $tries" >&2
done
fail "taken away $tries times; the same command goes on"
