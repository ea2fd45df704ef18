from django.urls import path

from webapp.datasets import tus, views

app_name = "datasets"
urlpatterns = [
    path("", views.dataset_list, name="list"),
    path("new", views.new, name="new"),
    path("samples", views.samples, name="samples"),
    path("uploads", tus.create, name="upload_create"),
    path("uploads/<uuid:pk>", tus.upload, name="upload"),
    path("uploads/<uuid:pk>/discard", views.upload_discard, name="upload_discard"),
    path("versions/<uuid:pk>", views.version, name="version"),
    path(
        "versions/<uuid:pk>/images/<slug:split>/<int:offset>-<int:size>",
        views.image,
        name="image",
    ),
    path(
        "versions/<uuid:pk>/sounds/<slug:split>/<int:offset>-<int:size>",
        views.sound,
        name="sound",
    ),
    path("versions/<uuid:pk>/again", views.again, name="again"),
    path("versions/<uuid:pk>/cancel", views.cancel, name="cancel"),
    path("<uuid:pk>", views.detail, name="detail"),
    path("<uuid:pk>/edit", views.edit, name="edit"),
    path("<uuid:pk>/add", views.add, name="add"),
]
