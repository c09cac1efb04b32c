"""The roles people hold. Plain Python: the catalogue names the least role of each action kind."""

from enum import IntEnum

# The permission to see failed sign-ins and to lift the lockouts that they led to.
LIFT_LOCKOUTS = "lift_lockouts"
# The models whose rows every role sees, as the codenames of the permissions to see all of them.
VIEW = ("view_experiment", "view_run", "view_action", "view_site", "view_job")
# The permission to manage all teams, the roles and accounts at all sites, and what owners may do.
MANAGE_TEAMS = "manage_teams"


class Role(IntEnum):
    """Who one is to an experiment; each role includes the ones before it."""

    VIEWER = 1
    OPERATOR = 2
    MANAGER = 3

    @property
    def title(self) -> str:
        """The name of the role for people; also the name of its group."""
        return self.name.capitalize()

    @property
    def help(self) -> str:
        """What somebody with this role may do, in one sentence."""
        return _HELP[self]


_HELP = {
    Role.VIEWER: "Sees experiments, jobs, runs, actions and sites.",
    Role.OPERATOR: "Starts, stops and restarts experiments, and changes the status of their jobs.",
    Role.MANAGER: "Creates and generates experiments, changes sites, manages teams, reads the audit trail and revokes "
    "tokens.",
}

# Which role on an experiment shows the rows of a model about it, by the codename of the permission to see all rows.
LEAST_TO_VIEW = {**dict.fromkeys(VIEW, Role.VIEWER), "view_auditentry": Role.MANAGER}
