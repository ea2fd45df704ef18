from django.apps.registry import Apps
from django.db import migrations
from django.db.backends.base.schema import BaseDatabaseSchemaEditor
from django.db.models.fields.json import KT
from django.db.models.functions import Left


def fill(apps: Apps, editor: BaseDatabaseSchemaEditor) -> None:
    """What new rows are given when they are made; all that there are so far are GPT-2's."""
    rows = apps.get_model("checkpoints", "Checkpoint").objects.using(editor.connection.alias)
    rows.filter(task="", architecture="gpt2").update(task="causal_language_modelling")
    named = rows.filter(method="", card__has_key="method").exclude(card__method=None)
    named.update(method=Left(KT("card__method"), 40))


class Migration(migrations.Migration):
    dependencies = [("checkpoints", "0002_library")]

    operations = [migrations.RunPython(fill, migrations.RunPython.noop)]
