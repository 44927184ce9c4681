#!/usr/bin/env bash
# Trains on a TPU VM or a pod of them: queued for where there is none, and again after a preemption.
#
#   launch/tpu_pod.sh --name=N --zone=Z --type=v5litepod-16 [--version=SOFTWARE] [--project=P]
#                     [--spot | --reserved | --reservation=URL | --flex_start=HOURS] [--wait=6h]
#                     [--bucket=gs://B/FOLDER] [--setup=COMMAND] [--tries=20] [--pause=60]
#                     [--dry-run] [--help] -- --config=configs/pascal3d.py ...
#
# What follows -- goes to launch.train on every worker; their output comes here. The checkout's last
# commit is what runs. --setup runs on every worker before (the data, for one).
#
# The machines are a queued resource, with --wait for so long; they are ones that can be taken away
# (--spot), of a reservation (--reserved for any, --reservation for one), or for so many hours at
# most (--flex_start=24h). TPU7x is had on GKE alone: launch/gke/run.sh.
#
# The first worker alone writes, to runs/NAME; with --bucket this folder is kept there every five
# minutes and fetched again, so that a run outlives its machines. --version is the TPU's own unless
# given, --pause the seconds before it looks or tries again. --dry-run prints the commands and runs
# none. The machines stay when the run has ended: delete them.
set -euo pipefail

name='' zone='' type='' version='' project='' bucket='' setup=: tries=20 pause=60 dry_run=''
spot='' reserved='' reservation='' flex_start='' wait=''
# shellcheck source=launch/options.sh
source "$(dirname "$0")/options.sh"
read_options "name zone type version project bucket setup tries pause reservation flex_start wait" \
  "spot reserved dry_run" "name zone type setup tries pause" "$@"
check '[a-z]([-a-z0-9]*[a-z0-9])?' "a name of small letters, digits and -" name zone
check '[A-Za-z0-9._:/-]+' "a name or an address" type version project bucket reservation
check '[0-9]+' "a number" tries pause
check '[0-9]+[smhd]' "a time such as 6h" flex_start wait
given=0
for way in "$spot" "$reserved" "$reservation" "$flex_start"; do
  [ -z "$way" ] || given=$((given + 1))
done
[ $given -le 1 ] || fail "give one of --spot, --reserved, --reservation and --flex_start"

case $type in # the software that Google names for each
v2-* | v3-* | v4-*) usual=tpu-ubuntu2204-base ;;
v5lite*) usual=v2-alpha-tpuv5-lite ;;
v5p-*) usual=v2-alpha-tpuv5 ;;
v6e-*) usual=v2-alpha-tpuv6e ;;
tpu7x* | v7*) fail "TPU7x is on GKE alone: launch/gke/run.sh --tpus=4 --accelerator=tpu7x --topology=2x2x1 ..." ;;
*) fail "--type=$type is no TPU VM (v2 to v4, v5litepod, v5p, v6e, such as v6e-16); others are on GKE: launch/gke/run.sh" ;;
esac

where=(--zone="$zone" ${project:+--project="$project"})
release=() # what gcloud has in its alpha alone
[ -z "$reservation$flex_start" ] || release=(alpha)
mode=(
  ${spot:+--spot} ${reserved:+--reserved} ${reservation:+--reservation="$reservation"}
  ${flex_start:+--provisioning-model=flex-start --max-run-duration="$flex_start"}
  ${wait:+--valid-until-duration="$wait"}
)
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT

run() { # prints, or runs
  if [ -n "$dry_run" ]; then printf '%q ' "$@"; echo; else "$@"; fi
}
tpu() { # ARGUMENT...: of gcloud's commands about TPU VMs
  run gcloud compute tpus tpu-vm "$@" "${where[@]}"
}
queue() { # ARGUMENT...: of those about queued resources
  run gcloud ${release[@]+"${release[@]}"} compute tpus queued-resources "$@" "${where[@]}"
}
on() { # WORKER COMMAND
  tpu ssh "$name" --worker="$1" --command="$2"
}
state() { # of the machines, or of what waits for them; nothing where neither is there
  local queued
  [ -z "$dry_run" ] || return 0
  queued=$(queue describe "$name" --format='value(state.state)' 2>/dev/null || true)
  case $queued in
  '' | ACTIVE) tpu describe "$name" --format='value(state)' 2>/dev/null || true ;;
  *) echo "$queued" ;;
  esac
}
is_gone() {
  case $1 in '' | FAILED | SUSPENDING | SUSPENDED | PREEMPTED | TERMINATED) true ;; *) false ;; esac
}

# Below, every command that may fail says so itself: inside a condition bash's -e is off.

obtain() {
  local now looks=0
  now=$(state)
  if is_gone "$now"; then
    # The request and its machines; or machines that were made without one.
    [ -z "$now" ] || queue delete "$name" --force --quiet || tpu delete "$name" --quiet || return
    queue create "$name" --node-id="$name" --accelerator-type="$type" \
      --runtime-version="${version:-$usual}" ${mode[@]+"${mode[@]}"} || return
  fi
  [ -z "$dry_run" ] || return 0
  while now=$(state) && [ "$now" != READY ]; do
    if [ -z "$now" ]; then # right after the request there can be nothing yet
      looks=$((looks + 1))
      [ $looks -lt "$tries" ] || return 1
    elif is_gone "$now"; then
      return 1
    fi
    echo "waiting for the TPU: ${now:-requested}" >&2
    sleep "$pause"
  done
}

prepare() {
  obtain || return
  run git -C "$root" archive --format=tar.gz --output="$folder/$name.tar.gz" HEAD || return
  tpu scp "$folder/$name.tar.gz" "$name:" --worker=all || return
  # The machine's own Python is older than catpose's.
  on all "mkdir -p catpose && tar xzf $name.tar.gz -C catpose && cd catpose && pip install --quiet uv && python3 -m uv venv --quiet --allow-existing --python=3.12 ../venv && . ../venv/bin/activate && python3 -m uv pip install --quiet -e '.[tpu,photo,keras,heic]' && $setup"
}

# One object in the bucket, so that it is always a whole one; tar fails where a file changes while
# it is read, and the next one will do.
keep="cd ~/catpose && kept=\$(mktemp) && { tar cf \"\$kept\" runs/$name && gcloud storage cp --quiet \"\$kept\" $bucket/$name.tar; rm -f \"\$kept\"; }"
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

warn_of_changes "stay behind"
for ((try = 1; try <= tries; try++)); do
  status=0
  { prepare && train; } || status=$?
  [ $status -ne 0 ] || exit 0
  # 143: stopped in time, as before a preemption; 255: ssh lost the machine.
  is_gone "$(state)" || [ $status -eq 143 ] || [ $status -eq 255 ] ||
    fail "the run failed, and the TPU VM is there; see above"
  echo "the TPU VM was taken away, or not to be had; try $((try + 1)) of $tries" >&2
  sleep "$pause"
done
fail "taken away $tries times; the same command resumes the run"
