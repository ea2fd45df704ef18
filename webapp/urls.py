"""Every route of the portal. All need a signed-in person unless named in PUBLIC_ROUTES."""

from django.contrib import admin
from django.urls import include, path

from webapp import views

#: The only routes open to strangers; a test walks all routes and holds this list true.
PUBLIC_ROUTES = frozenset(
    {"accounts:sign_in", "accounts:sign_in_link", "health", "set_language", "javascript_catalog"}
)

handler400 = "webapp.errors.bad_request"
handler403 = "webapp.errors.forbidden"
handler404 = "webapp.errors.not_found"

urlpatterns = [
    path("", include("webapp.portal_urls")),
    path("account/", include("webapp.accounts.urls")),
    path("data/", include("webapp.datasets.urls")),
    path("runs/", include("webapp.runs.urls")),
    path("checkpoints/", include("webapp.checkpoints.urls")),
    path("heads/", include("webapp.heads.urls")),
    path("ensembles/", include("webapp.ensembles.urls")),
    path("predictions/", include("webapp.predictions.urls")),
    path("playground/", include("webapp.playground.urls")),
    path("jobs/", include("webapp.jobs.urls")),
    path("admin/queues/", include("django_rq.urls")),
    # Before the admin's own: there is one place to sign in.
    path("admin/login/", views.admin_sign_in, name="admin_sign_in"),
    path("admin/", admin.site.urls),
]
