"""ES: a web host, two hosts that only run and one that does all else, one file system, people's own accounts, CAS."""

import re
import subprocess
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import ClassVar

from tests.support.cas_server import cas_server
from tests.support.site_host import REPOSITORY
from tests.support.unix_accounts import sudoers
from tests.tools.cases.case import KINDS, Case, make_group
from tests.tools.cases.hosts import Link
from tests.tools.cases.portal import OPERATOR, install_agent
from tests.tools.cases.servers import sshd

_RUNS = ("run1", "run2")
_OTHER = "login"
_TEAMS = '{"managers": {"role": "manager"}}'
_ACCOUNT = """
from django.contrib.auth.models import User
from autosubmit_portal.access.models import SiteAccount
from experiments.models import Site
SiteAccount.objects.create(user=User.objects.get(username={user!r}), site=Site.objects.get(), unix_name={account!r})
"""


class ES(Case):
    """See docs/infrastructure.md."""

    name: ClassVar[str] = "es"
    way: ClassVar[str] = "cas"

    def join_provider(self, link: Link) -> Mapping[str, str]:
        self.cas = self.stack.enter_context(cas_server(link.far_address))
        self.cas.know(OPERATOR, groups="managers")
        return {"PORTAL_CAS_URL": self.cas.url, "PORTAL_CAS_NAME": "Earth Sciences", "PORTAL_CAS_TEAMS": _TEAMS}

    def agree(self, address: str) -> str:
        return self.cas.agree(address, OPERATOR)

    def set_up(self) -> None:
        names = (*_RUNS, _OTHER)
        self.add_hosts(*names)
        self.add_links(*((f"web-{name}", "web", name) for name in names))
        self._share_store()
        page = (REPOSITORY / "docs" / "infrastructure.md").read_text()
        (rules,) = re.findall(r"```ini\n(\[hosts\]\n.*?)```", page, re.DOTALL)
        self.prepare_store(_OTHER, f"\n{rules}")
        self._open_store(self.home / "autosubmit")
        allowed = {"program": str(self.program), "home": str(self.home), "kinds": KINDS, "profiles": {"usual": {}}}
        reached = {}
        for name in names:
            server = self.stack.enter_context(sshd(self.hosts[name], self.folder / f"sshd-{name}"))
            key = self.portal.secrets / "key"
            install_agent(self.folder, name, server, self.names, key, accounts=[self.names.person], **allowed)
            reached[name] = (self.links[f"web-{name}"].far_address, server)
        self.portal.write_ssh_hosts(reached)

    def register(self) -> None:
        self.write_rows((*_RUNS, _OTHER), run_as="actor")

    def _share_store(self) -> None:
        """Make the group of the store, and let the agent become its members, as docs/duty.md says."""
        self.group = f"{self.names.site}g"
        self.stack.enter_context(make_group(self.group, self.names.site, self.names.person))
        text = (REPOSITORY / "docs" / "duty.md").read_text()
        (rule,) = re.findall(r"```\n(Defaults:autosubmit env_keep.*?)```", text, re.DOTALL)
        rule = rule.replace("Defaults:autosubmit", f"Defaults:{self.names.site}").replace("%climate", f"%{self.group}")
        rule = rule.replace("autosubmit ALL", f"{self.names.site} ALL")
        rule = rule.replace("/opt/autosubmit/bin/autosubmit", str(self.program))
        self.stack.enter_context(sudoers(self.names.site, f"{rule}Defaults:{self.names.site} umask=0002\n"))

    def _open_store(self, store: Path) -> None:
        """Let the members of the group write in it; what is made there belongs to the group."""
        subprocess.run(["chgrp", "-R", self.group, str(store)], check=True)
        subprocess.run(["chmod", "-R", "g+rwX", str(store)], check=True)
        subprocess.run(["find", str(store), "-type", "d", "-exec", "chmod", "g+s", "{}", "+"], check=True)

    def use(self) -> None:
        code = _ACCOUNT.format(user=OPERATOR, account=self.names.person)
        self.portal.manage("shell", "--no-imports", "-c", code)
        super().use()

    def configure(self, expid: str) -> None:
        self.write_workflow(expid, "LOCAL", self.names.person)

    @property
    def cuts(self) -> Mapping[str, Callable[[], str]]:
        return {
            "people-web": self.look_at_health,
            "web-database": self.look_at_health,
            "web-redis": self.look_at_health,
            "web-provider": self.try_to_sign_in,
            "web-run1": self.see_run,
            "web-run2": self.look_at_health,
            "web-login": self.find_waiting,
        }

    @property
    def trials(self) -> Mapping[str, Callable[[], str]]:
        run1, person = self.links["web-run1"].far_address, self.names.person
        spool, key = f"/tmp/{self.names.site}/spool-run1", str(self.portal.secrets / "key")
        return {
            **self.common_trials,
            "gateway's key opens a shell on a run host": lambda: self.open_shell(run1),
            "a person's command reads the agent's spool": lambda: self.attempt("run1", "ls", spool, account=person),
            "a person's command reads the gateway's key": lambda: self.attempt("run1", "cat", key, account=person),
            "a run host does what only the other does": self._create_on_run_host,
        }

    def _create_on_run_host(self) -> str:
        rc = f"/tmp/{self.names.site}/.autosubmitrc"
        words = ("env", f"AUTOSUBMIT_CONFIGURATION={rc}", str(self.program), "create", "-np", self.expid)
        return self.attempt("run1", *words, account=self.names.person)
