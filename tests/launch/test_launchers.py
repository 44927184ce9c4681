"""The shell scripts: clean for shellcheck, and what they would do by --dry-run."""

import shlex
import subprocess

import kubernetes_validate
import pytest
import yaml

from catpose.launch import train
from tests.support.paths import ROOT

SCRIPTS = ("launch/slurm.sh", "launch/tpu_pod.sh", "launch/gke/run.sh")
TRAINING = ("--config=configs/pascal3d.py", "--config.model.pose_settings={'bins': 8}")
NEEDED = {
    "launch/slurm.sh": (),
    "launch/tpu_pod.sh": ("--name=pod", "--zone=z-1", "--type=v5litepod-16"),
    "launch/gke/run.sh": ("--name=job", "--image=i:1", "--claim=disk", "--pods=4", "--gpus=8"),
}


def run(script, *arguments):
    command = [f"./{script}", *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)


def dry(script, *arguments, needed=None):
    needed = NEEDED[script] if needed is None else needed
    result = run(script, *needed, *arguments, "--dry-run", "--", *TRAINING)
    assert result.returncode == 0, result.stderr
    return result.stdout


def test_shellcheck_finds_nothing():
    files = [*SCRIPTS, "launch/options.sh", ".ci/run"]
    result = subprocess.run(
        ["shellcheck", "-x", *files], cwd=ROOT, capture_output=True, check=False
    )
    assert result.returncode == 0, result.stdout.decode()


@pytest.mark.parametrize("script", SCRIPTS)
def test_wrong_options_are_one_line(script):
    for arguments, told in (
        (("--colour=red",), "unknown option '--colour=red'"),
        (NEEDED[script], "give launch.train's options behind --"),
    ):
        result = run(script, *arguments)
        assert result.returncode == 1
        assert result.stderr.startswith("error: ")
        assert told in result.stderr
        assert result.stderr.count("\n") == 1
    for missing in [option for option in NEEDED[script] if not option.startswith("--gpus")]:
        others = [option for option in NEEDED[script] if option != missing]
        result = run(script, *others, "--", *TRAINING)
        assert result.returncode == 1
        assert f"{missing.partition('=')[0]} is missing" in result.stderr


def trains(words):
    """What behind launch.train is understood by it, and gets the values whole."""
    known = {"coordinator", "processes", "process", "distributed", "workdir"}
    assert known <= set(train.OPTIONS.values)
    assert train.CONFIG.name == "config"
    for word in TRAINING:
        assert word in words
    return words


def test_a_slurm_job():
    text = dry("launch/slurm.sh", "--nodes=2", "--gpus=4", "--partition=big", "--time=1:00:00")
    subprocess.run(["bash", "-n"], input=text, text=True, check=True)
    options = [line.split()[1] for line in text.splitlines() if line.startswith("#SBATCH")]
    assert {
        "--nodes=2",
        "--ntasks-per-node=4",
        "--gpus-per-node=4",
        "--partition=big",
        "--time=1:00:00",
        "--requeue",
        "--signal=TERM@120",
    } <= set(options)
    assert not any(option.startswith("--account") for option in options)
    (line,) = [line for line in text.splitlines() if line.startswith("srun")]
    trains(shlex.split(line))
    assert '[ $status -ne 143 ] || exec scontrol requeue "$SLURM_JOB_ID"' in text


def test_a_slurm_job_runs_and_queues_again(tmp_path):
    """With an srun that says what it was given and how the tasks ended."""
    job = tmp_path / "job.sh"
    job.write_text(dry("launch/slurm.sh", "--setup=export READY=yes"))
    for name, text in (
        ("srun", 'printf "%s\\n" "$READY" "$@"; exit $STATUS'),
        ("scontrol", 'echo "scontrol $*"'),
    ):
        (tmp_path / name).write_text(f"#!/bin/sh\n{text}\n")
        (tmp_path / name).chmod(0o755)

    def ended(status):
        path = f"{tmp_path}:/usr/bin:/bin"
        environment = {"PATH": path, "STATUS": str(status), "SLURM_JOB_ID": "7"}
        return subprocess.run(
            ["bash", str(job)], env=environment, capture_output=True, text=True, check=False
        )

    done = ended(0)
    assert done.returncode == 0
    assert done.stdout.splitlines()[0] == "yes"
    trains(done.stdout.splitlines())
    assert "scontrol requeue 7" in ended(143).stdout
    failed = ended(1)
    assert failed.returncode == 1
    assert "scontrol" not in failed.stdout
    job.write_text(dry("launch/slurm.sh", "--setup=false"))
    assert (ended(0).returncode, ended(0).stdout) == (1, "")


def commands(text):
    return [shlex.split(line) for line in text.splitlines()]


def test_a_tpu_pod():
    lines = commands(dry("launch/tpu_pod.sh", "--spot", "--project=p"))
    create = next(line for line in lines if "create" in line)
    assert create[:6] == ["gcloud", "compute", "tpus", "tpu-vm", "create", "pod"]
    assert {"--zone=z-1", "--project=p", "--accelerator-type=v5litepod-16", "--spot"} <= set(create)
    assert not any("gs://" in word for line in lines for word in line)
    last = lines[-1]
    assert "--worker=all" in last
    (remote,) = [word.partition("=")[2] for word in last if word.startswith("--command=")]
    subprocess.run(["bash", "-n"], input=remote, text=True, check=True)
    words = trains(shlex.split(remote))
    assert {"--distributed", "--workdir=runs/pod"} <= set(words)


def test_a_tpu_pods_run_outlives_it():
    lines = commands(dry("launch/tpu_pod.sh", "--bucket=gs://mine/runs"))
    remote = [word[10:] for line in lines for word in line if word.startswith("--command=")]
    for command in remote:
        subprocess.run(["bash", "-n"], input=command, text=True, check=True)
    fetched, kept, trained, last = remote[-4:]
    assert "gcloud storage cat gs://mine/runs/pod.tar | tar x" in fetched
    # Nothing kept: the run begins. Whatever else is wrong, it does not.
    for says, fine in (("One or more URLs matched no objects.", True), ("no network", False)):
        script = f"gcloud() {{ echo '{says}' >&2; return 1; }}; cd() {{ :; }}; {fetched}"
        ended = subprocess.run(["bash", "-c", script], capture_output=True, check=False)
        assert (ended.returncode == 0) == fine
    assert "pgrep -f [l]aunch.train" in kept
    assert "gs://mine/runs/pod.tar" in kept
    assert "launch.train" in trained
    assert last.endswith("gcloud storage cp --quiet /tmp/kept.tar gs://mine/runs/pod.tar")


def test_a_tpu_pod_that_is_taken_away_is_made_anew(tmp_path):
    """With a gcloud that knows one machine, not to be had at first, which is pre-empted once."""
    log = tmp_path / "log"
    (tmp_path / "gcloud").write_text(
        f"""#!/bin/bash
echo "$*" >> {log}
case "$*" in
  *describe*) cat {tmp_path}/state 2>/dev/null ;;
  *create*)
    [ -e {tmp_path}/asked ] || {{ touch {tmp_path}/asked; exit 1; }}
    echo READY > {tmp_path}/state ;;
  *launch.train*)
    [ -e {tmp_path}/once ] && exit
    touch {tmp_path}/once
    echo PREEMPTED > {tmp_path}/state
    exit 255 ;;
esac
"""
    )
    (tmp_path / "gcloud").chmod(0o755)
    result = subprocess.run(
        ["./launch/tpu_pod.sh", *NEEDED["launch/tpu_pod.sh"], "--pause=0", "--", *TRAINING],
        cwd=ROOT,
        env={"PATH": f"{tmp_path}:/usr/bin:/bin"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, result.stderr
    assert "try 3 of 20" in result.stderr
    verbs = [line.split()[3] for line in log.read_text().splitlines() if "tpu-vm" in line]
    assert [verb for verb in verbs if verb in ("create", "delete")] == [
        "create",
        "create",
        "delete",
        "create",
    ]
    assert log.read_text().count("launch.train") == 2


@pytest.mark.parametrize("machine", ["gpu", "tpu"])
def test_a_jobset(machine):
    needed = list(NEEDED["launch/gke/run.sh"])
    if machine == "tpu":
        needed[-1:] = ["--tpus=4", "--accelerator=tpu-v5-lite-podslice", "--topology=4x4"]
    found = yaml.safe_load(dry("launch/gke/run.sh", needed=needed))
    assert (found["apiVersion"], found["kind"]) == ("jobset.x-k8s.io/v1alpha2", "JobSet")
    assert set(found["spec"]) == {"failurePolicy", "replicatedJobs"}
    assert found["spec"]["failurePolicy"] == {"maxRestarts": 20}
    (workers,) = found["spec"]["replicatedJobs"]
    assert set(workers) == {"name", "replicas", "template"}
    # What a JobSet makes of it is a Job, whose schema is Kubernetes' own.
    job = {"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": "job"}}
    kubernetes_validate.validate({**job, **workers["template"]}, "1.30", strict=True)
    spec = workers["template"]["spec"]
    assert spec["completions"] == spec["parallelism"] == 4
    pod = spec["template"]["spec"]
    (container,) = pod["containers"]
    words = trains(container["args"])
    assert words[0] == "--workdir=/runs/job"
    if machine == "tpu":
        assert pod["nodeSelector"]["cloud.google.com/gke-tpu-topology"] == "4x4"
        assert container["resources"]["limits"] == {"google.com/tpu": 4}
        assert not any(word.startswith("--process") for word in words)  # detected
    else:
        assert container["resources"]["limits"] == {"nvidia.com/gpu": 8}
        assert words[-3:] == [
            "--coordinator=job-workers-0-0.job:8476",
            "--processes=4",
            "--process=$(JOB_COMPLETION_INDEX)",
        ]
