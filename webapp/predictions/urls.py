from django.urls import path

from webapp.predictions import views

app_name = "predictions"
urlpatterns = [
    path("", views.prediction_list, name="list"),
    path("new", views.new, name="new"),
    path("<uuid:pk>", views.detail, name="detail"),
    path("<uuid:pk>/download", views.download, name="download"),
    path("<uuid:pk>/cancel", views.cancel, name="cancel"),
    path("<uuid:pk>/retry", views.retry, name="retry"),
]
