from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class EnsemblesConfig(AppConfig):
    name = "webapp.ensembles"
    verbose_name = _("Ensembles")
