"""The page that merges checkpoints: choose them, how, and by which data the result is judged."""

from __future__ import annotations

import uuid

from django.http import Http404, HttpResponse, QueryDict
from django.shortcuts import redirect, render
from django.utils.translation import gettext
from django.views.decorators.http import require_http_methods

from webapp.accounts.permissions import check_can_write
from webapp.checkpoints import services
from webapp.checkpoints.forms_merge import MergeForm
from webapp.checkpoints.models import Checkpoint
from webapp.htmx import PortalRequest, wants_fragment


@require_http_methods(["GET", "POST"])
def checkpoint_merge(request: PortalRequest) -> HttpResponse:
    """Choose what is merged, how, and by which data it is judged; then start it."""
    team = request.team
    check_can_write(request.user, team)
    assert team is not None
    data = request.POST if request.method == "POST" else request.GET
    chosen = _chosen(request, data)
    initial = {
        "name": gettext("%(name)s, merged") % {"name": chosen[0].name[:140]} if chosen else "",
        "method": "interpolate",
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
    try:
        keys = list(dict.fromkeys(uuid.UUID(word) for word in words))
    except ValueError:
        raise Http404 from None
    keys = [key for key in keys if str(key) != data.get("remove")]
    rows = Checkpoint.objects.for_user(request.user).filter(team=request.team, pk__in=keys)
    found = rows.defer("card", "tensors").in_bulk()
    if len(found) != len(keys):
        raise Http404
    if data.get("turn"):
        keys.reverse()
    return [found[key] for key in keys]
