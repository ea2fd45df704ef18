from django.apps.registry import Apps
from django.db import migrations
from django.db.backends.base.schema import BaseDatabaseSchemaEditor


def fill(apps: Apps, editor: BaseDatabaseSchemaEditor) -> None:
    """A network of images without a head has features; a head with one output says a number."""
    rows = apps.get_model("checkpoints", "Checkpoint").objects.using(editor.connection.alias)
    images = rows.filter(task="image_classification")
    images.filter(config__num_classes=0).update(task="image_features")
    images.filter(config__num_classes=1).update(task="image_regression")
    texts = rows.filter(task="text_classification").values_list("pk", "config")
    numbers = [pk for pk, config in texts if len(config.get("labels") or ()) == 1]
    rows.filter(pk__in=numbers).update(task="text_regression")


class Migration(migrations.Migration):
    dependencies = [("checkpoints", "0009_ensembles")]

    operations = [migrations.RunPython(fill, migrations.RunPython.noop)]
