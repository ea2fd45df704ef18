from django.core.management.base import CommandError
from django.db import migrations


def refuse_old_files(apps, schema_editor):
    """Files stored until now are named by another hash, and cannot be found any more."""
    if (
        apps.get_model("datasets", "DatasetVersion").objects.exists()
        or apps.get_model("checkpoints", "Checkpoint").objects.exists()
    ):
        raise CommandError(
            "This database belongs to a version of Graft before its first release, whose files are "
            "named by SHA-256; this one names them by BLAKE3. Nothing was changed. Go on with that "
            "version, or set DATABASE_URL and STORAGE_URL (or move var/ away) and start afresh."
        )


class Migration(migrations.Migration):
    dependencies = [
        ("datasets", "0001_initial"),
        ("checkpoints", "0008_copy_base"),
    ]

    operations = [
        migrations.RunPython(refuse_old_files, migrations.RunPython.noop),
        migrations.RenameField("upload", "sha256", "blake3"),
        migrations.RenameField("datasetversion", "raw_sha256", "raw_blake3"),
    ]
