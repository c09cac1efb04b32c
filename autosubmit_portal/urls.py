"""Addresses: the API under /v4, the console at the root."""

from django.urls import include, path

from autosubmit_portal.console.pages.second_factor import ask_for_code, second_factor_page

urlpatterns = [
    path("", include("autosubmit_portal.api.urls")),
    # allauth looks the first one up by this name.
    path("login/code/", ask_for_code, name="mfa_authenticate"),
    path("second-factor/", second_factor_page, name="second_factor"),
    path("", include("autosubmit_portal.console.urls")),
]

handler400 = "autosubmit_portal.api.error_answers.answer_bad_request"
handler500 = "autosubmit_portal.api.error_answers.answer_server_error"
