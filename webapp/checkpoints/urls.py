from django.urls import path

from webapp.checkpoints import exports, pushes, views

app_name = "checkpoints"
urlpatterns = [
    path("", views.checkpoint_list, name="list"),
    path("import", views.import_new, name="import"),
    path("import/<uuid:pk>", views.import_detail, name="import_detail"),
    path("import/<uuid:pk>/retry", views.import_retry, name="import_retry"),
    path("import/<uuid:pk>/cancel", views.import_cancel, name="import_cancel"),
    path("exports/<uuid:pk>/retry", exports.export_retry, name="export_retry"),
    path("exports/<uuid:pk>/cancel", exports.export_cancel, name="export_cancel"),
    path("exports/<uuid:pk>/download", exports.export_download, name="export_download"),
    path("pushes/<uuid:pk>/cancel", pushes.push_cancel, name="push_cancel"),
    path("<uuid:pk>/push", pushes.push_page, name="push"),
    path("<uuid:pk>/export", exports.export_page, name="export"),
    path("<uuid:pk>", views.checkpoint_detail, name="detail"),
    path("<uuid:pk>/describe", views.checkpoint_describe, name="describe"),
    path("<uuid:pk>/download", views.checkpoint_download, name="download"),
    path("<uuid:pk>/files/<path:path>", views.checkpoint_file, name="file"),
    path("<uuid:pk>/copy", views.checkpoint_copy, name="copy"),
]
