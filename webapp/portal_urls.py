from django.contrib.auth.decorators import login_not_required
from django.urls import path
from django.views.decorators.cache import cache_control
from django.views.i18n import JavaScriptCatalog, set_language

from webapp import views

# The catalogue of scripts comes from LOCALE_PATHS; a package has to be named all the same, or
# those of Django's admin would be sent along. Its address names the language, so it can be kept.
javascript_catalog = cache_control(private=True, max_age=3600)(
    JavaScriptCatalog.as_view(packages=["webapp.accounts"])
)

urlpatterns = [
    path("", views.home, name="home"),
    path("health", views.health, name="health"),
    path("language", login_not_required(set_language), name="set_language"),
    path("jsi18n", login_not_required(javascript_catalog), name="javascript_catalog"),
]
