"""What cases have in common whose people sign in at Keycloak: a provider of OpenID Connect, with groups."""

import os
from collections.abc import Mapping
from typing import ClassVar

from tests.support.identity_provider import CLIENT_ID, CLIENT_SECRET, provider
from tests.tools.cases.case import Case
from tests.tools.cases.hosts import Link
from tests.tools.cases.portal import OPERATOR

STRANGER = "bo"
_GROUP = "/operators"
_TEAMS = f'{{"{_GROUP}": {{"role": "manager"}}}}'


class OpenIDConnectCase(Case):
    """A case whose operator, and a stranger to its site, sign in that way."""

    way: ClassVar[str] = "sso"

    def join_provider(self, link: Link) -> Mapping[str, str]:
        os.environ["AUTHLIB_INSECURE_TRANSPORT"] = "1"  # a provider of tests has no TLS, and listens on a real link
        self.provider = self.stack.enter_context(provider(link.far_address))
        for name in (OPERATOR, STRANGER):
            self.provider.know(name, groups=[_GROUP])
        return {
            "PORTAL_OIDC_ISSUER": self.provider.issuer,
            "PORTAL_OIDC_CLIENT_ID": CLIENT_ID,
            "PORTAL_OIDC_CLIENT_SECRET": CLIENT_SECRET,
            "PORTAL_OIDC_TEAMS": _TEAMS,
        }

    def agree(self, address: str) -> str:
        return self.provider.agree(address, OPERATOR)
