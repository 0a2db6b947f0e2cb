"""django-s3-file-field with its MinIO variant: one project in one file."""

import os

import django
from django.conf import settings

HOST = os.environ["S3_ENDPOINT"].removeprefix("http://")

settings.configure(
    SECRET_KEY="for-a-benchmark",
    ALLOWED_HOSTS=["*"],
    ROOT_URLCONF=__name__,
    INSTALLED_APPS=["django.contrib.contenttypes", "rest_framework", "s3_file_field"],
    # The least that a service needs: no sessions, no templates, no login.
    MIDDLEWARE=[],
    REST_FRAMEWORK={
        "DEFAULT_AUTHENTICATION_CLASSES": [],
        "DEFAULT_PERMISSION_CLASSES": [],
        "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
        "UNAUTHENTICATED_USER": None,
    },
    DATA_UPLOAD_MAX_MEMORY_SIZE=64 * 1024 * 1024,
    STORAGES={"default": {"BACKEND": "minio_storage.storage.MinioMediaStorage"}},
    MINIO_STORAGE_ENDPOINT=HOST,
    MINIO_STORAGE_ACCESS_KEY=os.environ["AWS_ACCESS_KEY_ID"],
    MINIO_STORAGE_SECRET_KEY=os.environ["AWS_SECRET_ACCESS_KEY"],
    MINIO_STORAGE_REGION=os.environ["AWS_DEFAULT_REGION"],
    MINIO_STORAGE_USE_HTTPS=False,
    MINIO_STORAGE_MEDIA_BUCKET_NAME="partway",
    MINIO_STORAGE_ASSUME_MEDIA_BUCKET_EXISTS=True,
)
django.setup()

from django.core.wsgi import get_wsgi_application  # noqa: E402 (Django wants its settings first)
from django.db import models  # noqa: E402
from django.urls import include, path  # noqa: E402
from s3_file_field.fields import S3FileField  # noqa: E402


class Document(models.Model):
    """What a file is uploaded for. No database is asked."""

    blob = S3FileField()

    class Meta:
        app_label = "uploads"


urlpatterns = [path("api/s3-upload/", include("s3_file_field.urls"))]
application = get_wsgi_application()
