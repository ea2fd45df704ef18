"""The page that merges checkpoints: choose them, how, and by which data the result is judged."""

from __future__ import annotations

from typing import Any

from django.http import Http404, HttpResponse, QueryDict
from django.shortcuts import redirect, render
from django.utils.translation import gettext
from django.views.decorators.http import require_http_methods

from training.backbones.registry import SELF_CONTAINED
from webapp.accounts.permissions import check_can_write
from webapp.checkpoints import services
from webapp.checkpoints.forms_merge import MergeForm, typed_before
from webapp.checkpoints.models import Checkpoint, CheckpointImport
from webapp.htmx import PortalRequest, wants_fragment
from webapp.keys import parse_uuid


@require_http_methods(["GET", "POST"])
def checkpoint_merge(request: PortalRequest) -> HttpResponse:
    """Choose what is merged, how, and by which data it is judged; then start it."""
    data = request.POST if request.method == "POST" else request.GET
    chosen = _chosen(request, data)
    team = chosen[0].team if chosen else request.team
    check_can_write(request.user, team)
    assert team is not None
    initial = {
        "name": gettext("%(name)s, merged") % {"name": chosen[0].name[:140]} if chosen else "",
        "method": "interpolate",
        **_typed_before(request, data.get("from", "")),
    }
    # Without JavaScript a button asks for the settings of another method: nothing is checked then.
    posted = request.POST if request.method == "POST" and "show" not in data else None
    form = MergeForm(
        posted, user=request.user, team=team, chosen=chosen, initial=initial | data.dict()
    )
    if posted is not None and form.is_valid() and form.spec is not None:
        row = services.merge_start(
            name=form.cleaned_data["name"],
            spec=form.spec,
            parents=form.parents(),
            team=team,
            owner=request.user,
        )
        return redirect("checkpoints:import_detail", row.pk)
    template = "checkpoints/merge.html" + ("#form" if wants_fragment(request) else "")
    status = 200 if posted is None else 422
    addresses = ",".join(str(one.pk) for one in chosen)
    context = {"form": form, "chosen": chosen, "addresses": addresses}
    return render(request, template, context, status=status)


def _chosen(request: PortalRequest, data: QueryDict) -> list[Checkpoint]:
    """The checkpoints that the address or the form names, in that order.

    ``ids`` (several, or with commas between), one more by ``add``, one less by ``remove``; the
    other way round by ``turn``.
    """
    words = [word for value in data.getlist("ids") for word in value.split(",") if word]
    if more := data.get("add"):
        words.append(str(more))
    keys = list(dict.fromkeys(map(parse_uuid, words)))
    keys = [key for key in keys if str(key) != data.get("remove")]
    rows = Checkpoint.objects.for_user(request.user).select_related("team")
    rows = rows.filter(pk__in=keys, architecture__in=SELF_CONTAINED)
    found = rows.defer("card", "tensors").in_bulk()
    # Of one team, whichever of the person's it is.
    if len(found) != len(keys) or len({row.team_id for row in found.values()}) > 1:
        raise Http404
    if data.get("turn"):
        keys.reverse()
    return [found[key] for key in keys]


def _typed_before(request: PortalRequest, key: str) -> dict[str, Any]:
    """What was typed for a merge that is to be changed; empty: there is none."""
    if (pk := parse_uuid(key)) is None:
        return {}
    rows = CheckpointImport.objects.for_user(request.user).select_related("job")
    row = rows.filter(pk=pk, origin=Checkpoint.Origin.MERGED).first()
    return typed_before(row) if row is not None else {}
