#!/usr/bin/env bash
# Trains on a SLURM cluster: one task for each GPU, requeued until the run is finished.
#
#   launch/slurm.sh [--nodes=1] [--gpus=8] [--cpus=8] [--time=24:00:00] [--partition=P] [--account=A]
#                   [--name=catpose] [--setup='source venv/bin/activate'] [--dry-run] [--help]
#                   -- --config=configs/pascal3d.py --workdir=/shared/runs/pascal3d ...
#
# What follows -- goes to launch.train; the workdir must be on a disk that all nodes share. SLURM
# signals the tasks 120 s before the time is up, the run saves its state and ends with status 143,
# and the job queues again, as it does when a node fails. --setup runs before, in the job's shell.
# --dry-run prints the job and submits nothing.
set -euo pipefail

nodes=1 gpus=8 cpus=8 time=24:00:00 name=catpose partition='' account='' setup='' dry_run=''
# shellcheck source=launch/options.sh
source "$(dirname "$0")/options.sh"
read_options "nodes gpus cpus time name partition account setup" dry_run \
  "nodes gpus cpus time name" "$@"
check '[0-9]+' "a number" nodes gpus cpus
check '[A-Za-z0-9._,:@+-]+' "a name or a time" time name partition account

job() {
  cat <<END
#!/usr/bin/env bash
#SBATCH --job-name=$name
#SBATCH --nodes=$nodes
#SBATCH --ntasks-per-node=$gpus
#SBATCH --gpus-per-node=$gpus
#SBATCH --cpus-per-task=$cpus
#SBATCH --time=$time
${partition:+#SBATCH --partition=$partition
}${account:+#SBATCH --account=$account
}#SBATCH --requeue
#SBATCH --open-mode=append
#SBATCH --output=$name-%j.log
#SBATCH --signal=TERM@120
cd $(printf %q "$PWD") || exit 1
${setup:+{
$setup
\} || exit 1
}# Every task sees all of a node's GPUs, and JAX gives each its own.
srun --cpus-per-task=$cpus --gpu-bind=none --kill-on-bad-exit=1 python -m launch.train$(printf ' %q' "${training[@]}")
status=\$?
# Stopped in time: the same job resumes where it was.
[ \$status -ne 143 ] || exec scontrol requeue "\$SLURM_JOB_ID"
exit \$status
END
}

if [ -n "$dry_run" ]; then job; else job | sbatch; fi
