"""A regular-expression engine that cannot backtrack: the finite automaton inside pydantic's validator.

Already a dependency, linear for every pattern and input, and for many short needles several times faster
than one `bytes.find` after another. Says only whether a pattern occurs, not where. If another engine should
take over, this is the seam.
"""

from collections.abc import Callable

from pydantic_core import SchemaValidator, core_schema


def matcher(pattern: str) -> Callable[[str], bool]:
    """A function that tells whether *pattern* occurs in a text. No look-around, no back-references."""
    schema = core_schema.str_schema(strict=True, pattern=pattern, regex_engine="rust-regex")
    return SchemaValidator(schema).isinstance_python
