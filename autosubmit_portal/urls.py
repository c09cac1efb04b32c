"""Addresses: the API under /v4, the console at the root."""

from django.urls import include, path

from autosubmit_portal.admin.console import console

urlpatterns = [
    path("", include("autosubmit_portal.api.urls")),
    path("", console.urls),
]

handler500 = "autosubmit_portal.api.errors.server_error"
