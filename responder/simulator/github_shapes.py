"""GitHub's JSON for people, repositories and commits.

https://docs.github.com/rest . Addresses of the API lead to the simulator, those
of pages to github.com, where nobody may follow them.
"""

import base64
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime

from responder.simulator.git import Author, Change, Commit, Objects

Json = dict[str, object]
HTML = "https://github.com"

_USER_PATHS = {
    "followers_url": "followers",
    "following_url": "following{/other_user}",
    "gists_url": "gists{/gist_id}",
    "starred_url": "starred{/owner}{/repo}",
    "subscriptions_url": "subscriptions",
    "organizations_url": "orgs",
    "repos_url": "repos",
    "events_url": "events{/privacy}",
    "received_events_url": "received_events",
}
_REPOSITORY_PATHS = {
    "forks_url": "forks",
    "keys_url": "keys{/key_id}",
    "collaborators_url": "collaborators{/collaborator}",
    "teams_url": "teams",
    "hooks_url": "hooks",
    "issue_events_url": "issues/events{/number}",
    "events_url": "events",
    "assignees_url": "assignees{/user}",
    "branches_url": "branches{/branch}",
    "tags_url": "tags",
    "blobs_url": "git/blobs{/sha}",
    "git_tags_url": "git/tags{/sha}",
    "git_refs_url": "git/refs{/sha}",
    "trees_url": "git/trees{/sha}",
    "statuses_url": "statuses/{sha}",
    "languages_url": "languages",
    "stargazers_url": "stargazers",
    "contributors_url": "contributors",
    "subscribers_url": "subscribers",
    "subscription_url": "subscription",
    "commits_url": "commits{/sha}",
    "git_commits_url": "git/commits{/sha}",
    "comments_url": "comments{/number}",
    "issue_comment_url": "issues/comments{/number}",
    "contents_url": "contents/{+path}",
    "compare_url": "compare/{base}...{head}",
    "merges_url": "merges",
    "archive_url": "{archive_format}{/ref}",
    "downloads_url": "downloads",
    "issues_url": "issues{/number}",
    "pulls_url": "pulls{/number}",
    "milestones_url": "milestones{/number}",
    "notifications_url": "notifications{?since,all,participating}",
    "labels_url": "labels{/name}",
    "releases_url": "releases{/id}",
    "deployments_url": "deployments",
}


@dataclass(slots=True)
class Repository:
    """A repository on GitHub.

    Attributes:
        id: stays when it is renamed.
        owner: login of the organization.
        name: without the owner.
        private: and so subject to extended alert metadata.
        objects: its git side.
        former_names: full names that redirect here.
    """

    id: int
    owner: str
    name: str
    private: bool
    created: datetime
    objects: Objects = field(default_factory=Objects)
    default_branch: str = "main"
    former_names: list[str] = field(default_factory=list)

    @property
    def full_name(self) -> str:
        """``owner/name``."""
        return f"{self.owner}/{self.name}"


def rfc3339(moment: datetime) -> str:
    """A time as GitHub writes it: ``2026-11-20T09:14:03Z``."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def number_of(login: str) -> int:
    """A stable numeric id for a login."""
    return int.from_bytes(login.encode()[:4].ljust(4, b"x"), "big")


def node_id(kind: str, key: object) -> str:
    """An opaque global id."""
    return f"{kind}_{base64.urlsafe_b64encode(str(key).encode()).decode().rstrip('=')}"


def user(api: str, login: str, kind: str = "User") -> Json:
    """A ``simple-user``; *kind* is ``User``, ``Organization`` or ``Bot``."""
    home = f"{api}/users/{login}"
    return {
        "login": login,
        "id": number_of(login),
        "node_id": node_id("U", login),
        "avatar_url": f"https://avatars.githubusercontent.com/u/{number_of(login)}?v=4",
        "gravatar_id": "",
        "url": home,
        "html_url": f"{HTML}/{login}",
        **{name: f"{home}/{path}" for name, path in _USER_PATHS.items()},
        "type": kind,
        "site_admin": False,
    }


def organization(api: str, login: str) -> Json:
    """An ``organization-simple``, as in webhooks."""
    home = f"{api}/orgs/{login}"
    return {
        "login": login,
        "id": number_of(login),
        "node_id": node_id("O", login),
        "url": home,
        "repos_url": f"{home}/repos",
        "events_url": f"{home}/events",
        "hooks_url": f"{home}/hooks",
        "issues_url": f"{home}/issues",
        "members_url": f"{home}/members{{/member}}",
        "public_members_url": f"{home}/public_members{{/member}}",
        "avatar_url": f"https://avatars.githubusercontent.com/u/{number_of(login)}?v=4",
        "description": None,
    }


def simple_repository(api: str, repository: Repository) -> Json:
    """A ``simple-repository``."""
    home = f"{api}/repos/{repository.full_name}"
    return {
        "id": repository.id,
        "node_id": node_id("R", repository.id),
        "name": repository.name,
        "full_name": repository.full_name,
        "owner": user(api, repository.owner, "Organization"),
        "private": repository.private,
        "html_url": f"{HTML}/{repository.full_name}",
        "description": None,
        "fork": False,
        "url": home,
        **{name: f"{home}/{path}" for name, path in _REPOSITORY_PATHS.items()},
    }


def full_repository(api: str, repository: Repository) -> Json:
    """A ``full-repository``, also that of webhooks but for `push_repository`."""
    page, created = f"{HTML}/{repository.full_name}", rfc3339(repository.created)
    return {
        **simple_repository(api, repository),
        "git_url": f"git://github.com/{repository.full_name}.git",
        "ssh_url": f"git@github.com:{repository.full_name}.git",
        "clone_url": f"{page}.git",
        "svn_url": page,
        "created_at": created,
        "updated_at": created,
        "pushed_at": rfc3339(repository.objects.pushed or repository.created),
        "homepage": None,
        "language": None,
        "license": None,
        "mirror_url": None,
        "size": len(repository.objects.blobs),
        **dict.fromkeys(("stargazers_count", "watchers_count", "forks_count", "open_issues_count"), 0),
        **dict.fromkeys(("forks", "open_issues", "watchers", "network_count", "subscribers_count"), 0),
        **dict.fromkeys(("has_issues", "has_projects", "has_downloads", "has_wiki"), True),
        **dict.fromkeys(("has_pages", "has_discussions", "archived", "disabled", "is_template"), False),
        "topics": [],
        "visibility": "private" if repository.private else "public",
        "default_branch": repository.default_branch,
        "allow_forking": True,
        "web_commit_signoff_required": False,
        "custom_properties": {},
    }


def push_repository(api: str, repository: Repository) -> Json:
    """The repository of a push event: times are numbers there, and the address is the page's."""
    owner = user(api, repository.owner, "Organization")
    return {
        **full_repository(api, repository),
        "url": f"{HTML}/{repository.full_name}",
        "owner": {**owner, "name": repository.owner, "email": None},
        "created_at": int(repository.created.timestamp()),
        "pushed_at": int(datetime.now(UTC).timestamp()),
        "stargazers": 0,
        "master_branch": repository.default_branch,
        "organization": repository.owner,
    }


def commit(api: str, repository: Repository, made: Commit) -> Json:
    """A ``commit`` without its files."""
    home, page = f"{api}/repos/{repository.full_name}", f"{HTML}/{repository.full_name}"
    person = {"name": made.author.name, "email": made.author.email, "date": rfc3339(made.at)}
    account = user(api, made.author.login)
    return {
        "sha": made.sha,
        "node_id": node_id("C", made.sha),
        "commit": {
            "author": person,
            "committer": person,
            "message": made.message,
            "tree": {"sha": made.tree, "url": f"{home}/git/trees/{made.tree}"},
            "url": f"{home}/git/commits/{made.sha}",
            "comment_count": 0,
            "verification": {
                "verified": False,
                "reason": "unsigned",
                "signature": None,
                "payload": None,
                "verified_at": None,
            },
        },
        "url": f"{home}/commits/{made.sha}",
        "html_url": f"{page}/commit/{made.sha}",
        "comments_url": f"{home}/commits/{made.sha}/comments",
        "author": account,
        "committer": account,
        "parents": [{"sha": p, "url": f"{home}/commits/{p}", "html_url": f"{page}/commit/{p}"} for p in made.parents],
    }


def changed_file(api: str, repository: Repository, at: Commit, change: Change, patch: str | None) -> Json:
    """A ``diff-entry``; the patch is left out where there is none."""
    lines = (patch or "").splitlines()
    added = sum(line.startswith("+") for line in lines)
    removed = sum(line.startswith("-") for line in lines)
    home, page = f"{api}/repos/{repository.full_name}", f"{HTML}/{repository.full_name}"
    shown: Json = {
        "sha": change.after or change.before,
        "filename": change.path,
        "status": change.status,
        "additions": added,
        "deletions": removed,
        "changes": added + removed,
        "blob_url": f"{page}/blob/{at.sha}/{change.path}",
        "raw_url": f"{page}/raw/{at.sha}/{change.path}",
        "contents_url": f"{home}/contents/{change.path}?ref={at.sha}",
    }
    if change.previous_path is not None:
        shown["previous_filename"] = change.previous_path
    if patch:
        shown["patch"] = patch.removesuffix("\n")
    return shown


def pushed_commit(repository: Repository, made: Commit) -> Json:
    """A commit as a push event lists it: names of files, no content."""
    changes = repository.objects.own_changes(made)[:3000]
    author = _pusher(made.author)
    names: Mapping[str, list[str]] = {
        "added": [c.path for c in changes if c.status in ("added", "renamed")],
        "removed": [c.path for c in changes if c.status == "removed"]
        + [c.previous_path for c in changes if c.previous_path is not None],
        "modified": [c.path for c in changes if c.status == "modified"],
    }
    return {
        "id": made.sha,
        "tree_id": made.tree,
        "distinct": True,
        "message": made.message,
        "timestamp": rfc3339(made.at),
        "url": f"{HTML}/{repository.full_name}/commit/{made.sha}",
        "author": author,
        "committer": author,
        **names,
    }


def _pusher(author: Author) -> Json:
    return {"name": author.name, "email": author.email, "username": author.login}
