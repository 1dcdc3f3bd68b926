"""`box deploy`: check, provision, `chalice deploy`, gateway, smoke test - and back to the last release when that fails."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass, field
from pathlib import Path
from threading import Lock

from chalicelib.settings import VERSION
from ops.asking import DoesNotHold
from ops.aws import gateway, left_behind, releases, secrets
from ops.aws.bundle import build, package_file, run_chalice
from ops.aws.clients import gateway_url
from ops.aws.names import Names
from ops.aws.provision import config_of, provision
from ops.aws.releases import Release
from ops.aws.smoke import config_hash, runs, smoke
from ops.aws.stack import Say
from ops.boxes.checking import mistakes
from ops.boxes.output import Failed, WrongInput
from ops.boxes.project import Project, write
from ops.boxes.stages import read_stage


class RolledBack(Failed):
    """The new release failed its smoke test and the last one runs again. Exit code 3."""

    exit_code = 3


@dataclass(frozen=True)
class Deployed:
    merchant: str
    url: str
    config_hash: str
    seconds: float
    smoke: list[str] = field(default_factory=list)


def deploy(
    project: Project, merchant: str, say: Say, *, rpc_urls: str | None = None, with_provision: bool = True
) -> Deployed:
    """`rpc_urls` are for a box that has none yet. Raises WrongInput, Failed, RolledBack, PartFailed."""
    with project.at_work_on(merchant):
        return _deploy(project, merchant, say, rpc_urls, with_provision=with_provision)


def _deploy(project: Project, merchant: str, say: Say, rpc_urls: str | None, *, with_provision: bool) -> Deployed:
    started = time.monotonic()
    if wrong := mistakes(project, [merchant]):
        raise WrongInput("\n".join(str(one) for one in wrong))
    if with_provision:
        say(f"{merchant}: provision")
        known = secrets.read(Names(merchant), secrets.RPC_URLS) is not None
        provision(project, merchant, say, rpc_urls=None if known else rpc_urls)
    config = config_of(project, merchant)
    stage = read_stage(project, merchant, config.signer)
    assert stage is not None, "checked above"
    before = releases.last(project, merchant)
    say(f"{merchant}: chalice deploy")
    build(project, merchant, stage.architecture, say)
    left_behind.write_down(project, merchant)
    run_chalice(project, "deploy", "--stage", merchant)
    deployment = gateway.apply(project, merchant)
    api_id = project.deployed(merchant)["rest_api"]["rest_api_id"]
    url = gateway_url(api_id, gateway.stage_name(project))
    wanted = config_hash(project.config_file(merchant))
    say(f"{merchant}: smoke test of {url}")
    try:
        held = smoke(url, config, wanted)
    except DoesNotHold as failure:
        raise _undone(project, before, url, failure, say) from None
    entry = project.stage(merchant) or {}
    package = package_file(project, stage.architecture)
    environment = entry["environment_variables"]
    releases.keep(project, Release(merchant, VERSION, wanted, str(package), deployment, environment))
    return Deployed(merchant, url, wanted, round(time.monotonic() - started, 1), held)


def _undone(project: Project, before: Release | None, url: str, failure: DoesNotHold, say: Say) -> Failed:
    """Go back to the last release that worked, and see that it does."""
    if before is None:
        return Failed(
            f"the smoke test failed: {failure}. There is no earlier release to go back to: `box status` and `box tail` say more"
        )
    say(f"{before.merchant}: {failure}; going back to {before.config_hash}")
    releases.go_back(project, before, gateway.stage_name(project))
    try:
        smoke_of_old(url, before)
    except DoesNotHold as still:
        return Failed(
            f"the smoke test failed: {failure}; the release before it ({before.config_hash}) is back, but fails too: {still}"
        )
    return RolledBack(f"the smoke test failed: {failure}. The release before it ({before.config_hash}) runs again")


def smoke_of_old(url: str, release: Release) -> None:
    """Only that the old config runs: its other values are not in the project any more."""
    runs(url, release.config_hash)


@dataclass
class Many:
    """How far `--all` has come, kept in a file, so that a broken run goes on where it was."""

    file: Path
    wanted: str
    """What is deployed (version and configs), as a fingerprint."""
    done: dict[str, str] = field(default_factory=dict)
    failed: dict[str, str] = field(default_factory=dict)
    _writing: Lock = field(default_factory=Lock, repr=False)

    @classmethod
    def resumed(cls, file: Path, wanted: str) -> Many:
        """What an earlier run for the same `wanted` left; nothing of any other."""
        if not file.exists():
            return cls(file, wanted)
        held = json.loads(file.read_text())
        return cls(file, wanted, done=held["done"]) if held.get("wanted") == wanted else cls(file, wanted)

    def keep(self, merchant: str, *, done: str | None = None, failed: str | None = None) -> None:
        """What became of one box: on disk when this returns."""
        with self._writing:
            if done is not None:
                self.done[merchant] = done
            if failed is not None:
                self.failed[merchant] = failed
            held = {"wanted": self.wanted, "done": self.done, "failed": self.failed}
            write(self.file, json.dumps(held, indent=1) + "\n")


def deploy_many(
    merchants: Sequence[str], one: Callable[[str], Deployed], at_once: int, progress: Many, say: Say
) -> Many:
    """Each of `merchants` not yet done, `at_once` at a time; a failure of one stops none of the others."""

    def bring(merchant: str) -> None:
        # By the thread that brought it, before it begins with another: a run that is killed then has kept all that is done.
        try:
            progress.keep(merchant, done=one(merchant).config_hash)
        except Exception as error:  # noqa: BLE001 - each box stands alone, whatever befell this one
            progress.keep(merchant, failed=str(getattr(error, "message", error)))
        say(f"{len(progress.done)} of {len(merchants)} deployed, {len(progress.failed)} failed")

    left = [merchant for merchant in merchants if merchant not in progress.done]
    with ThreadPoolExecutor(max(1, at_once)) as pool:
        running = [pool.submit(bring, merchant) for merchant in left]
        try:
            for future in as_completed(running):
                future.result()
        except KeyboardInterrupt:
            pool.shutdown(wait=False, cancel_futures=True)  # those at work end, no further one begins
            raise
    return progress
