#!/usr/bin/env bash
# Trains on Google Kubernetes Engine, or any Kubernetes with JobSet: one pod on each machine.
#
#   launch/gke/run.sh --name=N --image=IMAGE --claim=VOLUME --pods=4 (--gpus=8 | --tpus=4
#                     --accelerator=tpu-v5-lite-podslice --topology=4x4) [--user=1000]
#                     [--build=cuda12|cuda13|tpu] [--base=BASE_IMAGE] [--dry-run] [--help]
#                     -- --config=configs/pascal3d.py ...
#
# What follows -- goes to launch.train; results go to /runs/N on the volume that the claim names,
# which all pods can write to. --build makes the image of the checkout first and pushes it; --base is
# what it is made from. When a pod fails or is moved away all begin anew from the last checkpoint.
# The pods run as --user, with no rights but to their volumes; where a TPU's device is root's alone,
# give --user=0. --dry-run prints the manifest.
set -euo pipefail

name='' image='' claim='' pods='' gpus='' tpus='' accelerator='' topology='' build='' base=''
user=1000 dry_run=''
# shellcheck source=launch/options.sh
source "$(dirname "$0")/../options.sh"
read_options "name image claim pods gpus tpus accelerator topology build base user" dry_run \
  "name image claim pods user" "$@"
check '[a-z]([-a-z0-9]{0,38}[a-z0-9])?' "a name of up to 40 small letters, digits and -" name
check '[a-z0-9]([-.a-z0-9]*[a-z0-9])?' "a name of small letters, digits, - and ." claim accelerator
check '[A-Za-z0-9._:/@-]+' "the address of an image" image base
check '[0-9]+' "a number" pods gpus tpus user
check '[0-9]+(x[0-9]+)+' "a topology such as 4x4" topology
check 'cuda12|cuda13|tpu' "cuda12, cuda13 or tpu" build

quoted() { # a JSON string, which is YAML too
  local text=${1//\\/\\\\}
  text=${text//$'\n'/\\n}
  printf '"%s"' "${text//\"/\\\"}"
}

arguments=$(quoted "--workdir=/runs/$name")
for argument in "${training[@]}"; do arguments+=", $(quoted "$argument")"; done
if [ -n "$gpus" ]; then
  limits="{nvidia.com/gpu: $gpus}" selector='{}'
  # Kubernetes fills in the pod's number.
  arguments+=", \"--coordinator=$name-workers-0-0.$name:8476\", \"--processes=$pods\", \"--process=\$(JOB_COMPLETION_INDEX)\""
elif [ -n "$tpus" ] && [ -n "$accelerator" ] && [ -n "$topology" ]; then
  limits="{google.com/tpu: $tpus}"
  selector="{cloud.google.com/gke-tpu-accelerator: $accelerator, cloud.google.com/gke-tpu-topology: $topology}"
else
  fail "give --gpus=N, or --tpus=N with --accelerator and --topology; --help says more"
fi

manifest() {
  local text non_root=true
  shopt -u patsub_replacement 2>/dev/null || true # bash 5.2 reads & in what is put in
  [ "$user" -ne 0 ] || non_root=false
  text=$(grep -v '^#' "$(dirname "$0")/jobset.yaml")
  text=${text//<NAME>/$name}
  text=${text//<PODS>/$pods}
  text=${text//<NON_ROOT>/$non_root}
  text=${text//<USER>/$user}
  text=${text//<SELECTOR>/$selector}
  text=${text//<IMAGE>/$(quoted "$image")}
  text=${text//<LIMITS>/$limits}
  text=${text//<CLAIM>/$claim}
  # Last: they alone may hold anything.
  printf '%s\n' "${text//<ARGUMENTS>/[$arguments]}"
}

if [ -n "$dry_run" ]; then
  manifest
  exit
fi
if [ -n "$build" ]; then
  warn_of_changes "go into the image"
  revision=$(git -C "$root" rev-parse HEAD 2>/dev/null || echo unknown)
  docker build -f "$root/launch/gke/Dockerfile" --build-arg EXTRA="$build" \
    ${base:+--build-arg BASE="$base"} --label org.opencontainers.image.revision="$revision" \
    -t "$image" "$root"
  docker push "$image"
fi
manifest | kubectl apply -f -
echo "follow it with: kubectl logs --follow --selector=jobset.sigs.k8s.io/jobset-name=$name --prefix"
