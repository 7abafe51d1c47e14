"""How a Windows target is spoken to, as fields of its form; the row keeps them as one value."""

from __future__ import annotations

from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from unfold.widgets import UnfoldAdminSelectWidget, UnfoldAdminTextInputWidget, UnfoldBooleanSwitchWidget

from automation.models import Target
from automation.models.winrm import DEFAULTS, METHODS, check_winrm, with_windows_defaults

SSH_PORT = 22
NAMES = {name: f"winrm_{name}" for name in DEFAULTS}


class WinRMFields(forms.ModelForm):  # type: ignore[type-arg]  # not generic when it runs
    """A target whose transport follows from its platform. A Windows one may leave the port as it stood."""

    winrm_method = forms.ChoiceField(
        label="Login",
        choices=[(name, name) for name in METHODS],
        required=False,
        widget=UnfoldAdminSelectWidget,
        help_text="credssp hands the password to the target: only where it must log in further.",
    )
    winrm_https = forms.BooleanField(
        label="HTTPS",
        required=False,
        widget=UnfoldBooleanSwitchWidget,
        help_text="Its certificate is verified. Without it messages are encrypted one by one.",
    )
    winrm_encrypt = forms.BooleanField(
        label="Encrypt messages",
        required=False,
        widget=UnfoldBooleanSwitchWidget,
        help_text="Also inside of HTTPS.",
    )
    winrm_service_name = forms.CharField(
        label="Service name",
        required=False,
        widget=UnfoldAdminTextInputWidget,
        help_text="Kerberos: the name its tickets are for, where that is not the address.",
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        stored = DEFAULTS | self.instance.winrm
        for name, field in NAMES.items():
            self.initial.setdefault(field, stored[name])

    def clean(self) -> dict[str, Any]:
        found: dict[str, Any] = super().clean() or self.cleaned_data
        windows = found.get("platform") == Target.Platform.WINDOWS
        winrm = self._winrm(found) if windows else {}
        try:
            check_winrm(winrm)
        except ValidationError as error:
            self.add_error("winrm_method", error)
        implied = with_windows_defaults({"platform": found.get("platform"), "winrm": winrm})
        if windows and found.get("port") == SSH_PORT:
            found["port"] = implied["port"]
        self.instance.winrm = winrm
        self.instance.transport = implied.get("transport", Target.Transport.SSH)
        return found

    @staticmethod
    def _winrm(found: dict[str, Any]) -> dict[str, Any]:
        """What differs from that which holds anyway."""
        given = {name: found.get(field) or type(DEFAULTS[name])() for name, field in NAMES.items()}
        given["method"] = given["method"] or DEFAULTS["method"]
        return {name: value for name, value in given.items() if value != DEFAULTS[name]}
