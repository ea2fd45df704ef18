from django.urls import path

from webapp.accounts import views

app_name = "accounts"
urlpatterns = [
    path("sign-in", views.sign_in, name="sign_in"),
    path("sign-in/link", views.sign_in_link, name="sign_in_link"),
    path("sign-out", views.sign_out, name="sign_out"),
    path("profile", views.profile, name="profile"),
    path("profile/password", views.password, name="password"),
    path("team", views.team, name="team"),
    path("team/name", views.team_rename, name="team_rename"),
    path("team/switch", views.team_switch, name="team_switch"),
    path("team/invite", views.member_invite, name="member_invite"),
    path("team/members/<int:pk>/role", views.member_role, name="member_role"),
    path("team/members/<int:pk>/link", views.member_link, name="member_link"),
    path("team/members/<int:pk>/remove", views.member_remove, name="member_remove"),
    path("team/trail", views.audit_trail, name="audit_trail"),
]
