from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class HeadsConfig(AppConfig):
    name = "webapp.heads"
    verbose_name = _("Heads")
