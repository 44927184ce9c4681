#!/usr/bin/env bash
# Trains on Google Kubernetes Engine, or any Kubernetes with JobSet: one pod on each machine.
#
#   launch/gke/run.sh --name=N --image=IMAGE --claim=VOLUME --pods=4 (--gpus=8 | --tpus=4
#                     --accelerator=tpu-v5-lite-podslice --topology=4x4) [--build=cuda|tpu] [--dry-run]
#                     -- --config=configs/pascal3d.py ...
#
# What follows -- goes to launch.train; results go to /runs/N on the volume that the claim stands
# for, which all pods can write to. --build makes the image first and pushes it. When a pod fails or
# is moved away all begin anew from the last checkpoint. --dry-run prints the manifest.
set -euo pipefail

name='' image='' claim='' pods='' gpus='' tpus='' accelerator='' topology='' build='' dry_run=''
# shellcheck source=launch/options.sh
source "$(dirname "$0")/../options.sh"
read_options "name image claim pods gpus tpus accelerator topology build" dry_run "name image claim pods" "$@"

quoted() { # a JSON string, which is YAML too
  local text=${1//\\/\\\\}
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
  fail "give --gpus=N, or --tpus=N with --accelerator and --topology"
fi

manifest() {
  local text
  shopt -u patsub_replacement 2>/dev/null || true # bash 5.2 reads & in what is put in
  text=$(grep -v '^#' "$(dirname "$0")/jobset.yaml")
  text=${text//NAME/$name}
  text=${text//PODS/$pods}
  text=${text//SELECTOR/$selector}
  text=${text//IMAGE/$image}
  text=${text//LIMITS/$limits}
  text=${text//CLAIM/$claim}
  printf '%s\n' "${text//ARGUMENTS/[$arguments]}"
}

if [ -n "$dry_run" ]; then
  manifest
  exit
fi
if [ -n "$build" ]; then
  docker build -f "$(dirname "$0")/Dockerfile" --build-arg EXTRA="$build" -t "$image" "$(dirname "$0")/../.."
  docker push "$image"
fi
manifest | kubectl apply -f -
echo "follow it with: kubectl logs --follow --selector=jobset.sigs.k8s.io/jobset-name=$name --prefix"
