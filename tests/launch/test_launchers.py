"""The shell scripts: clean for shellcheck, and what they would do by --dry-run."""

import configparser
import pathlib
import re
import shlex
import shutil
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
# What may be left out, but not be empty.
WITH_DEFAULT = {
    "launch/slurm.sh": ("nodes", "gpus", "cpus", "time", "name"),
    "launch/tpu_pod.sh": ("setup", "tries", "pause"),
    "launch/gke/run.sh": ("user",),
}


def run(script, *arguments, **options):
    command = [f"./{script}", *arguments]
    options = {"cwd": ROOT, "text": True, "capture_output": True, "check": False, **options}
    return subprocess.run(command, **options)


def stub(folder, name, text):
    """A command on the PATH of `environment`."""
    (folder / name).write_text(f"#!/bin/bash\n{text}\n")
    (folder / name).chmod(0o755)


def environment(folder, **more):
    return {"PATH": f"{folder}:/usr/bin:/bin", "TMPDIR": str(folder), **more}


def dry(script, *arguments, needed=None):
    needed = NEEDED[script] if needed is None else needed
    result = run(script, *needed, *arguments, "--dry-run", "--", *TRAINING)
    assert result.returncode == 0, result.stderr
    return result.stdout


def test_shellcheck_finds_nothing():
    files = [*SCRIPTS, "launch/options.sh", ".ci/run", ".ci/newest"]
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
    for name in WITH_DEFAULT[script]:
        result = run(script, *NEEDED[script], f"--{name}=", "--dry-run", "--", *TRAINING)
        assert (result.returncode, result.stdout) == (1, "")
        assert result.stderr == f"error: --{name} is missing; --help says more\n"
    for missing in [option for option in NEEDED[script] if not option.startswith("--gpus")]:
        others = [option for option in NEEDED[script] if option != missing]
        result = run(script, *others, "--", *TRAINING)
        assert result.returncode == 1
        assert f"{missing.partition('=')[0]} is missing" in result.stderr


@pytest.mark.parametrize("script", SCRIPTS)
def test_help_is_the_comment_at_the_top(script):
    result = run(script, "--help")
    assert result.returncode == 0, result.stderr
    lines = (ROOT / script).read_text().splitlines()
    assert result.stdout.splitlines()[0] == lines[1].removeprefix("# ")
    assert "#" not in result.stdout
    assert "set -euo" not in result.stdout
    for name in ("--help", "--dry-run", *(option.partition("=")[0] for option in NEEDED[script])):
        assert name in result.stdout


@pytest.mark.parametrize(
    ("script", "option"),
    [
        ("launch/slurm.sh", "--name=two words"),
        ("launch/slurm.sh", "--partition=p\n#SBATCH --uid=0"),
        ("launch/slurm.sh", "--nodes=two"),
        ("launch/tpu_pod.sh", "--name=pod; rm -rf ~"),
        ("launch/tpu_pod.sh", "--bucket=gs://b/$(id)"),
        ("launch/tpu_pod.sh", "--flex_start=long"),
        ("launch/gke/run.sh", "--name=Job_1"),
        ("launch/gke/run.sh", "--image=i<CLAIM>"),
        ("launch/gke/run.sh", "--gpus=8}, x: {"),
        ("launch/gke/run.sh", "--build=cuda"),
        ("launch/gke/run.sh", "--user=root"),
    ],
)
def test_what_a_shell_or_a_job_file_would_misread_is_refused(script, option):
    name, value = option.split("=", 1)
    others = [each for each in NEEDED[script] if not each.startswith(f"{name}=")]
    result = run(script, *others, option, "--dry-run", "--", *TRAINING)
    assert result.returncode == 1
    assert result.stderr.startswith(f"error: {name}={value} is not ")
    assert result.stdout == ""


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
    assert create[:6] == ["gcloud", "compute", "tpus", "queued-resources", "create", "pod"]
    assert {
        "--zone=z-1",
        "--project=p",
        "--node-id=pod",
        "--accelerator-type=v5litepod-16",
        "--runtime-version=v2-alpha-tpuv5-lite",
        "--spot",
    } <= set(create)
    assert not any("gs://" in word for line in lines for word in line)
    last = lines[-1]
    assert "--worker=all" in last
    (remote,) = [word.partition("=")[2] for word in last if word.startswith("--command=")]
    subprocess.run(["bash", "-n"], input=remote, text=True, check=True)
    words = trains(shlex.split(remote))
    assert {"--distributed", "--workdir=runs/pod"} <= set(words)


@pytest.mark.parametrize(
    ("options", "given"),
    [
        ((), {"compute"}),
        (("--reserved", "--wait=2d"), {"compute", "--reserved", "--valid-until-duration=2d"}),
        (("--reservation=projects/p/r/x",), {"alpha", "--reservation=projects/p/r/x"}),
        (
            ("--flex_start=24h",),
            {"alpha", "--provisioning-model=flex-start", "--max-run-duration=24h"},
        ),
    ],
)
def test_how_a_tpu_is_had(options, given):
    lines = commands(dry("launch/tpu_pod.sh", *options))
    create = next(line for line in lines if "create" in line)
    assert given <= set(create)
    assert ("alpha" in create) == ("alpha" in given)
    assert ("--spot" in create) is False


def test_one_way_at_most():
    result = run(
        "launch/tpu_pod.sh", *NEEDED["launch/tpu_pod.sh"], "--spot", "--reserved", "--", "x"
    )
    assert (result.returncode, result.stdout) == (1, "")
    assert "error: give one of --spot, --reserved" in result.stderr


@pytest.mark.parametrize("kind", ["tpu7x-8", "v9-16", "tesla"])
def test_what_is_no_tpu_vm_is_refused_with_the_way_to_gke(kind):
    needed = ["--name=pod", "--zone=z-1", f"--type={kind}"]
    result = run("launch/tpu_pod.sh", *needed, "--version=any", "--", *TRAINING)
    assert result.returncode == 1
    assert result.stderr.count("\n") == 1
    assert "launch/gke/run.sh" in result.stderr


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
    assert "gs://mine/runs/pod.tar" in last


def test_what_is_kept_is_a_whole_archive_and_leaves_nothing(tmp_path):
    """The last command of the first worker, in a home of its own, with a gcloud that copies."""
    (tmp_path / "catpose" / "runs" / "pod").mkdir(parents=True)
    (tmp_path / "catpose" / "runs" / "pod" / "report.md").write_text("done")
    (tmp_path / "tmp").mkdir()
    stub(tmp_path, "gcloud", f'cp "$4" {tmp_path}/kept.tar')
    lines = commands(dry("launch/tpu_pod.sh", "--bucket=gs://mine"))
    (last,) = [word[10:] for word in lines[-1] if word.startswith("--command=")]
    given = environment(tmp_path, HOME=str(tmp_path)) | {"TMPDIR": str(tmp_path / "tmp")}
    subprocess.run(["bash", "-c", last], env=given, check=True)
    names = subprocess.run(
        ["tar", "tf", str(tmp_path / "kept.tar")], capture_output=True, text=True, check=True
    )
    assert "runs/pod/report.md" in names.stdout
    assert list((tmp_path / "tmp").iterdir()) == []


GCLOUD = """
echo "$*" >> {0}/log
case "$*" in
  *queued-resources*describe*) cat {0}/queue 2>/dev/null ;;
  *tpu-vm*describe*)
    cat {0}/machine 2>/dev/null ;;
  *queued-resources*create*)
    [ -e {0}/asked ] || {{ touch {0}/asked; exit 1; }}
    echo WAITING_FOR_RESOURCES > {0}/queue ;;
  *queued-resources*delete*) rm {0}/queue {0}/machine ;;
  *launch.train*)
    [ -e {0}/once ] && exit
    touch {0}/once
    echo SUSPENDED > {0}/queue
    exit 255 ;;
esac
"""
# The queue moves on while the launcher waits.
SLEEP = """
grep -q WAITING {0}/queue 2>/dev/null && {{ echo ACTIVE > {0}/queue; echo READY > {0}/machine; }}
exit 0
"""


def test_a_tpu_pod_is_waited_for_and_had_again_after_a_preemption(tmp_path):
    """With a gcloud whose queue is full at first, and whose machine is preempted once."""
    stub(tmp_path, "gcloud", GCLOUD.format(tmp_path))
    stub(tmp_path, "sleep", SLEEP.format(tmp_path))
    needed = NEEDED["launch/tpu_pod.sh"]
    result = run(
        "launch/tpu_pod.sh", *needed, "--pause=0", "--", *TRAINING, env=environment(tmp_path)
    )
    assert result.returncode == 0, result.stderr
    assert "try 3 of 20" in result.stderr
    assert "waiting for the TPU: WAITING_FOR_RESOURCES" in result.stderr
    log = (tmp_path / "log").read_text()
    verbs = [line.split()[3] for line in log.splitlines() if "queued-resources" in line]
    assert [verb for verb in verbs if verb in ("create", "delete")] == [
        "create",
        "create",
        "delete",
        "create",
    ]
    assert "queued-resources delete pod --force --quiet" in log
    assert log.count("launch.train") == 2
    assert not [path for path in tmp_path.iterdir() if path.name.startswith("tmp.")]


def test_a_request_that_fails_is_not_waited_for(tmp_path):
    stub(
        tmp_path,
        "gcloud",
        'case "$*" in *describe*) cat "$TMPDIR/q" ;; *create*) echo FAILED > "$TMPDIR/q" ;; esac',
    )
    needed = NEEDED["launch/tpu_pod.sh"]
    result = run(
        "launch/tpu_pod.sh", *needed, "--pause=0", "--tries=2", "--", "x", env=environment(tmp_path)
    )
    assert result.returncode == 1
    assert "error: taken away 2 times" in result.stderr


@pytest.mark.parametrize(
    ("script", "becomes"),
    [("launch/tpu_pod.sh", "stay behind"), ("launch/gke/run.sh", "go into the image")],
)
def test_uncommitted_changes_of_the_launchers_own_clone_are_reported(tmp_path, script, becomes):
    clone, other = tmp_path / "clone", tmp_path / "other"
    shutil.copytree(ROOT / "launch", clone / "launch")
    for name in ("docker", "kubectl"):
        stub(tmp_path, name, "cat > /dev/null")
    git = ["git", "-c", "user.name=n", "-c", "user.email=e@x", "-C", str(clone)]
    for command in (["init", "-q"], ["add", "."], ["commit", "-qm", "all"]):
        subprocess.run([*git, *command], check=True)
    # The current folder is of another repository, with changes of its own.
    subprocess.run(["git", "init", "-q", other], check=True)
    (other / "mine.py").touch()

    def launched():
        how = "--build=tpu" if "gke" in script else "--dry-run"
        command = [clone / script, *NEEDED[script], how, "--", *TRAINING]
        result = subprocess.run(
            command,
            cwd=other,
            env=environment(tmp_path),
            capture_output=True,
            text=True,
            check=True,
        )
        return result

    result = launched()
    assert result.stderr == ""
    if "gke" not in script:
        assert f"git -C {clone} archive" in result.stdout
    (clone / "launch" / "new.py").touch()
    said = launched().stderr
    assert f"warning: uncommitted changes {becomes}" in said
    assert "new.py" in said
    assert "mine.py" not in said


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
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["securityContext"]["runAsUser"] == pod["securityContext"]["fsGroup"] == 1000
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert {volume["mountPath"] for volume in container["volumeMounts"]} == {"/runs", "/tmp"}
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


def test_arguments_reach_a_pod_as_they_are():
    odd = 'a "quoted" \\ <NAME> & <IMAGE>\nline'
    needed = NEEDED["launch/gke/run.sh"]
    result = run("launch/gke/run.sh", *needed, "--user=0", "--dry-run", "--", f"--config={odd}")
    spec = yaml.safe_load(result.stdout)["spec"]["replicatedJobs"][0]["template"]["spec"]
    pod = spec["template"]["spec"]
    assert pod["containers"][0]["args"][1] == f"--config={odd}"
    assert pod["securityContext"]["runAsUser"] == 0
    assert pod["securityContext"]["runAsNonRoot"] is False


def test_an_image_is_built_and_the_job_started(tmp_path):
    for name in ("docker", "kubectl"):
        stub(
            tmp_path,
            name,
            f'printf "%s\\n" "$@" > {tmp_path}/{name}.$1; [ $1 != apply ] || cat >&2',
        )
    needed = NEEDED["launch/gke/run.sh"]
    more = ("--build=tpu", "--base=mirror/python:3.12@sha256:1")
    result = run("launch/gke/run.sh", *needed, *more, "--", *TRAINING, env=environment(tmp_path))
    assert result.returncode == 0, result.stderr
    built = (tmp_path / "docker.build").read_text().splitlines()
    assert {"EXTRA=tpu", "BASE=mirror/python:3.12@sha256:1", "i:1"} <= set(built)
    assert (tmp_path / "docker.push").read_text().split() == ["push", "i:1"]
    assert "kind: JobSet" in result.stderr


def test_the_container_is_pinned_and_not_roots():
    lines = (ROOT / "launch/gke/Dockerfile").read_text().splitlines()
    (base,) = [line.partition("=")[2] for line in lines if line.startswith("ARG BASE=")]
    assert re.fullmatch(r"python:3\.\d+\.\d+-slim-\w+@sha256:[0-9a-f]{64}", base)
    users = [line.split()[1] for line in lines if line.startswith("USER ")]
    assert users == ["1000"]
    assert lines.index("USER 1000") < next(i for i, x in enumerate(lines) if "ENTRYPOINT" in x)
    extras = configparser.ConfigParser()
    extras.read(ROOT / "setup.cfg")
    (extra,) = [line.partition("=")[2] for line in lines if line.startswith("ARG EXTRA=")]
    for each in (extra, "cuda12", "cuda13", "tpu"):
        assert each in extras["options.extras_require"]


@pytest.mark.parametrize("file", ["launch/gke/Dockerfile", "launch/tpu_pod.sh"])
def test_machines_can_run_the_configs_that_come_with_catpose(file):
    """`photo` and `own` need the package of weights, `pascal3d` .h5, photos of phones HEIC."""
    (found,) = re.findall(r"-e ['\"]\.\[(.*)\]['\"]", (ROOT / file).read_text())
    extras = configparser.ConfigParser()
    extras.read(ROOT / "setup.cfg")
    named = set(found.split(",")) - {"${EXTRA}", "tpu"}
    assert named == {"photo", "keras", "heic"}
    assert named <= set(extras["options.extras_require"])


def ignored(path, rules):
    """As Docker reads .dockerignore: the last rule that matches a path or a folder above it.

    A folder that is left out is entered only for a rule with ! that begins with its path.
    """

    def matches(rule, path):
        pattern = re.escape(rule.removeprefix("!"))
        for stars, meaning in ((r"\*\*/", "(.*/)?"), (r"\*\*", ".*"), (r"\*", "[^/]*")):
            pattern = pattern.replace(stars, meaning)
        return re.fullmatch(f"{pattern}(/.*)?", path)

    def is_out(path):
        return not [rule for rule in rules if matches(rule, path)][-1].startswith("!")

    folders = [str(folder) for folder in pathlib.PurePath(path).parents][:-1]
    return is_out(path) or any(
        is_out(folder) and not any(f"{rule}/".startswith(f"!{folder}/") for rule in rules)
        for folder in folders
    )


def test_data_and_secrets_stay_out_of_the_image():
    text = (ROOT / ".dockerignore").read_text()
    rules = [line for line in text.splitlines() if line and not line.startswith("#")]
    for path in (".git/config", "runs/a/report.md", "data/x.jpg", ".env", "key.pem", "tests/x.py",
                 "launch/.env", "configs/secret.json", "catpose/__pycache__/a.pyc", "launch/id_rsa",
                 "catpose/.netrc", "configs/key.pem", "catpose/weights/mini/.env"):  # fmt: skip
        assert ignored(path, rules), path
    tracked = subprocess.run(
        ["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    needed = [
        path
        for path in tracked.stdout.split()
        if path.startswith(("catpose/", "setup.cfg", "pyproject.toml"))
        or (path.startswith(("configs/", "launch/")) and path.endswith(".py"))
    ]
    assert "catpose/weights/photo/categories.json" in needed
    assert "launch/train.py" in needed
    for path in needed:
        assert not ignored(path, rules), path
