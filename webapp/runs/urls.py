from django.urls import path

from webapp.runs import views

app_name = "runs"
urlpatterns = [
    path("", views.run_list, name="list"),
    path("new", views.new, name="new"),
    path("new/check", views.check, name="check"),
    path("new/sources", views.sources, name="sources"),
    path("compare", views.compare, name="compare"),
    path("<uuid:pk>", views.detail, name="detail"),
    path("<uuid:pk>/live", views.live, name="live"),
    path("<uuid:pk>/curves", views.curves, name="curves"),
    path("<uuid:pk>/report", views.report, name="report"),
    path("<uuid:pk>/pictures/<int:seq>", views.picture, name="picture"),
    path("<uuid:pk>/pictures/<int:seq>/sounds/<int:place>", views.sound, name="sound"),
    path("<uuid:pk>/spec.yaml", views.spec_yaml, name="spec"),
    path("<uuid:pk>/edit", views.edit, name="edit"),
    path("<uuid:pk>/pause", views.pause, name="pause"),
    path("<uuid:pk>/resume", views.resume, name="resume"),
    path("<uuid:pk>/cancel", views.cancel, name="cancel"),
    path("<uuid:pk>/retry", views.retry, name="retry"),
]
