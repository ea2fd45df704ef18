"""A spec as YAML: shown, downloaded, and pasted by people who are not to be trusted."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import yaml
from django.utils.translation import gettext as _

#: Characters of a pasted spec; a complete one has about 1,500.
YAML_LIMIT = 50_000


def to_yaml(spec: Mapping[str, Any]) -> str:
    """A spec as people read and edit it; its order is the schema's."""
    return yaml.safe_dump(dict(spec), sort_keys=False, allow_unicode=True, width=88)


class YamlRefused(ValueError):
    """The sentence says what is wrong with pasted YAML."""


def method_of(text: str) -> str | None:
    """The method that a pasted spec names; None where it names none, or cannot be read."""
    try:
        method = read_yaml(text).get("method")
    except YamlRefused:
        return None
    return method if isinstance(method, str) else None


def read_yaml(text: str) -> dict[str, Any]:
    """A pasted spec.

    Raises:
        YamlRefused: Too long, no YAML, not a mapping, or with aliases, which a few lines can blow
            up to gigabytes with.
    """
    if len(text) > YAML_LIMIT:
        raise YamlRefused(_("This is too long for a specification."))
    try:
        if any(isinstance(token, yaml.AliasToken) for token in yaml.scan(text, yaml.SafeLoader)):
            raise YamlRefused(_("Aliases (*) are not read here; write the values out."))
        spec = yaml.safe_load(text)
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        raise YamlRefused(
            _("Line %(line)s is not YAML: %(problem)s")
            % {"line": line, "problem": error.problem or error.context or ""}
        ) from error
    except (yaml.YAMLError, ValueError) as error:
        raise YamlRefused(_("This is not YAML: %(problem)s") % {"problem": error}) from error
    except RecursionError as error:
        raise YamlRefused(_("This is nested too deeply.")) from error
    if not isinstance(spec, dict):
        raise YamlRefused(_("A specification has settings with names, such as “seed: 0”."))
    return spec
