from django.urls import path

from webapp.heads import views

app_name = "heads"
urlpatterns = [
    path("", views.head_list, name="list"),
    path("new", views.new, name="new"),
    path("<uuid:pk>", views.detail, name="detail"),
    path("<uuid:pk>/map", views.feature_map, name="map"),
    path("<uuid:pk>/download", views.download, name="download"),
    path("<uuid:pk>/cancel", views.cancel, name="cancel"),
    path("<uuid:pk>/retry", views.retry, name="retry"),
]
