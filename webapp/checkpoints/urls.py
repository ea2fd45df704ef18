from django.urls import path

from webapp.checkpoints import (
    views,
    views_copy,
    views_export,
    views_library,
    views_merge,
    views_push,
)

app_name = "checkpoints"
urlpatterns = [
    path("", views.checkpoint_list, name="list"),
    path("compare", views_library.checkpoint_compare, name="compare"),
    path("import", views.import_new, name="import"),
    path("merge", views_merge.checkpoint_merge, name="merge"),
    path("import/<uuid:pk>", views.import_detail, name="import_detail"),
    path("import/<uuid:pk>/retry", views.import_retry, name="import_retry"),
    path("import/<uuid:pk>/cancel", views.import_cancel, name="import_cancel"),
    path("exports/<uuid:pk>/retry", views_export.export_retry, name="export_retry"),
    path("exports/<uuid:pk>/cancel", views_export.export_cancel, name="export_cancel"),
    path("exports/<uuid:pk>/download", views_export.export_download, name="export_download"),
    path("pushes/<uuid:pk>/cancel", views_push.push_cancel, name="push_cancel"),
    path("<uuid:pk>/push", views_push.push_page, name="push"),
    path("<uuid:pk>/export", views_export.export_page, name="export"),
    path("<uuid:pk>", views.checkpoint_detail, name="detail"),
    path("<uuid:pk>/describe", views.checkpoint_describe, name="describe"),
    path("<uuid:pk>/stage", views_library.checkpoint_stage, name="stage"),
    path("<uuid:pk>/layers", views_library.checkpoint_layers, name="layers"),
    path("<uuid:pk>/statistics", views_library.checkpoint_statistics, name="statistics"),
    path("<uuid:pk>/statistics/cancel", views_library.statistics_cancel, name="statistics_cancel"),
    path("<uuid:pk>/histogram", views_library.checkpoint_histogram, name="histogram"),
    path("<uuid:pk>/download", views.checkpoint_download, name="download"),
    path("<uuid:pk>/files/<path:path>", views.checkpoint_file, name="file"),
    path("<uuid:pk>/probe/retry", views.probe_retry, name="probe_retry"),
    path("<uuid:pk>/copy", views_copy.copy, name="copy"),
    path("<uuid:pk>/copy/plans/<uuid:plan>/delete", views_copy.plan_delete, name="plan_delete"),
    path("<uuid:pk>/plan", views_copy.plan_of, name="plan"),
]
