"""A commit or a comparison as text: GitHub's diff and patch media types.

https://docs.github.com/rest/commits/commits . Diffs over the limits are refused
with 406, as captured from pull requests.
"""

from werkzeug.wrappers import Response

from responder.simulator.git import NOBODY, Change, Commit
from responder.simulator.github_pages import problem
from responder.simulator.github_shapes import Repository

Part = tuple[Commit, list[Change]]


def answer(repository: Repository, parts: list[Part], media: str, most_files: int, most_lines: int) -> Response:
    """*parts* one after the other; a *media* of ``patch`` puts a mail header before each."""
    files = {c.path for _, changes in parts for c in changes}
    if len(files) > most_files:
        return too_large(f"files ({most_files})")
    text = "".join(
        (_mail(made) if media == "patch" else "") + "".join(_diff(repository, c) for c in changes)
        for made, changes in parts
    )
    if text.count("\n") > most_lines:
        return too_large(f"lines ({most_lines})")
    return Response(text, content_type=f"application/vnd.github.{media}; charset=utf-8")


def too_large(what: str) -> Response:
    """The 406 of a diff GitHub will not make."""
    message = f"Sorry, the diff exceeded the maximum number of {what}"
    return problem(406, message, [{"resource": "PullRequest", "field": "diff", "code": "too_large"}])


def _mail(made: Commit) -> str:
    date = made.at.strftime("%a, %d %b %Y %H:%M:%S +0000")
    who = f"{made.author.name} <{made.author.email}>"
    head = (f"From {made.sha} Mon Sep 17 00:00:00 2001", f"From: {who}", f"Date: {date}")
    return "\n".join((*head, f"Subject: [PATCH] {made.message}", "", "---", ""))


def _diff(repository: Repository, change: Change) -> str:
    old, new = f"a/{change.previous_path or change.path}", f"b/{change.path}"
    lines = [f"diff --git {old} {new}"]
    before, after = (change.before or NOBODY)[:7], (change.after or NOBODY)[:7]
    if change.status == "renamed":
        names = (f"rename from {change.previous_path}", f"rename to {change.path}")
        return "\n".join([*lines, "similarity index 100%", *names]) + "\n"
    if change.status == "added":
        lines.append("new file mode 100644")
    elif change.status == "removed":
        lines.append("deleted file mode 100644")
    mode = "" if change.status in ("added", "removed") else " 100644"
    lines.append(f"index {before}..{after}{mode}")
    old, new = "/dev/null" if change.before is None else old, "/dev/null" if change.after is None else new
    patch = repository.objects.patch(change)
    if patch is None:
        return "\n".join([*lines, f"Binary files {old} and {new} differ"]) + "\n"
    if patch:
        lines += [f"--- {old}", f"+++ {new}"]
    return "\n".join(lines) + "\n" + patch
