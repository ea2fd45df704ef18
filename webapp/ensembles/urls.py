from django.urls import path

from webapp.ensembles import views

app_name = "ensembles"
urlpatterns = [
    path("", views.ensemble_list, name="list"),
    path("new", views.new, name="new"),
    path("snapshots/<uuid:pk>", views.of_snapshots, name="of_snapshots"),
    path("judge/<uuid:pk>", views.judge, name="judge"),
    path("<uuid:pk>", views.detail, name="detail"),
    path("<uuid:pk>/cancel", views.cancel, name="cancel"),
    path("<uuid:pk>/retry", views.retry, name="retry"),
]
