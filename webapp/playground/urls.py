from django.urls import path

from webapp.playground import views

app_name = "playground"
urlpatterns = [
    path("", views.generation_new, name="new"),
    path("<uuid:group>", views.generation_group, name="group"),
    path("<uuid:group>/again", views.generation_again, name="again"),
    path("<uuid:group>/stop", views.generation_stop, name="stop"),
]
