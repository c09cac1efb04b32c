"""The addresses of the console: its own pages first, then those of the models, which their modules have registered."""

from django.urls import path

from autosubmit_portal.console.pages import activity, health, invitation, now, preferences, search, shift, sign_in
from autosubmit_portal.console.site import console

app_name = "admin"
# The first three take the place of Django's pages of the same names.
urlpatterns = [
    path("", console.admin_view(now.now_page), name="index"),
    path("login/", sign_in.sign_in_page, name="login"),
    path("password_change/", console.admin_view(sign_in.password_page, cacheable=True), name="password_change"),
    path("search/", console.admin_view(search.search_page), name="search"),
    path("search/offers/", console.admin_view(search.offers_page), name="search_offers"),
    path("search/experiments/<int:site_id>/", console.admin_view(search.choices_page), name="search_experiments"),
    path("admin/", console.admin_view(search.directory_page), name="directory"),
    path("health/", console.admin_view(health.health_page), name="health"),
    path("shift/", console.admin_view(shift.shift_page), name="shift"),
    path("activity/", console.admin_view(activity.activity_page), name="activity"),
    path("preferences/", console.admin_view(preferences.preferences_page), name="preferences"),
    # Who is invited may see nothing else yet.
    path("invitation/", invitation.invitation_page, name="invitation"),
    path("invitation/join/", invitation.join_page, name="invitation_join"),
    path("invitation/account/", invitation.account_page, name="invitation_account"),
    path("login/<slug:key>/", sign_in.begin_single_sign_on, name="single_sign_on"),
    path("login/<slug:key>/callback/", sign_in.finish_single_sign_on, name="single_sign_on_callback"),
    *console.get_urls(),
]
