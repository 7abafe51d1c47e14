"""The strict column fails closed, is bound to its row, and gives plain text to nobody by accident."""

import copy
import io
import json
import pickle
import traceback
import uuid
from collections.abc import Callable
from typing import Any

import pytest
from cryptography.fernet import Fernet, MultiFernet
from django.core import serializers
from django.core.management import call_command
from django.db import connection, models, transaction
from django.db.models import F, Value
from django.db.models.functions import Concat, Upper
from django.forms import modelform_factory
from django.forms.models import model_to_dict
from django.test.utils import CaptureQueriesContext, isolate_apps
from pytest_django.fixtures import Settings
from rest_framework.serializers import ModelSerializer

from credentials.fields import SealedFieldError, StrictEncryptedTextField
from credentials.models import Credential, KeyCanary, sealed_field
from credentials.sealed import PREFIX, DecryptionError, Sealed
from credentials.secret import Secret
from tests.credentials.conftest import CANARY, make, stored_column, write_column

pytestmark = pytest.mark.django_db


def again(credential: Credential) -> Credential:
    return Credential.objects.get(pk=credential.pk)


def password_of(credential: Credential) -> str:
    password = again(credential).secrets().password
    assert password is not None
    return password.reveal()


def test_a_secret_comes_back_and_the_column_holds_ciphertext(credential: Credential) -> None:
    assert password_of(credential) == CANARY
    column = stored_column(credential.pk)
    assert column.startswith(PREFIX)
    assert CANARY not in column


def test_a_wrong_key_raises_and_says_what_to_do(credential: Credential, other_key: str) -> None:
    column = stored_column(credential.pk)
    with pytest.raises(
        DecryptionError, match="Add that key to the end of OPSPORTAL_ENCRYPTION_KEYS"
    ) as caught:
        again(credential).secrets()
    assert caught.value.code == "secret.wrong_key"
    assert column[len(PREFIX) + 10 : len(PREFIX) + 30] not in str(caught.value)
    assert caught.value.__context__ is None


def test_saving_with_a_wrong_key_leaves_the_ciphertext_as_it_is(
    credential: Credential, other_key: str
) -> None:
    before = stored_column(credential.pk)
    loaded = again(credential)
    loaded.username = "bob"
    loaded.save()
    loaded.save(update_fields=["username"])
    Credential.objects.update(enabled=False)
    Credential.objects.bulk_update([loaded], ["username"])
    assert stored_column(credential.pk) == before


def test_saving_another_column_does_not_encrypt_again(credential: Credential) -> None:
    before = stored_column(credential.pk)
    loaded = again(credential)
    loaded.username = "bob"
    loaded.save()
    loaded.refresh_from_db()
    loaded.save()
    assert stored_column(credential.pk) == before


def test_lists_and_pages_need_no_key(credential: Credential, settings: Settings) -> None:
    settings.FIELD_ENCRYPTION_KEY = []
    assert [str(row) for row in Credential.objects.all()] == ["web login"]
    assert Credential.objects.defer("sealed").get().username == "ann"


def test_the_first_key_encrypts_and_all_decrypt(credential: Credential, settings: Settings) -> None:
    old, new = settings.FIELD_ENCRYPTION_KEY[0], Fernet.generate_key().decode()
    settings.FIELD_ENCRYPTION_KEY = [new, old]
    younger = make("younger", text="another text")
    assert password_of(credential) == CANARY
    settings.FIELD_ENCRYPTION_KEY = [new]
    assert password_of(younger) == "another text"
    with pytest.raises(DecryptionError):
        again(credential).secrets()


def test_one_key_may_be_given_as_plain_text(credential: Credential, settings: Settings) -> None:
    settings.FIELD_ENCRYPTION_KEY = settings.FIELD_ENCRYPTION_KEY[0]
    assert password_of(credential) == CANARY


def test_ciphertext_moved_to_another_row_raises(credential: Credential) -> None:
    mallory = make("mallory's", text="mallory's own")
    write_column(mallory.pk, stored_column(credential.pk))
    with pytest.raises(DecryptionError, match="belongs to another row or field") as caught:
        again(mallory).secrets()
    shown = "".join(traceback.TracebackException.from_exception(caught.value, capture_locals=True).format())
    assert caught.value.code == "secret.wrong_row"
    assert CANARY not in shown


def test_ciphertext_moved_to_another_table_raises(credential: Credential) -> None:
    canary = KeyCanary.objects.create(sealed=Secret("song"), uuid=credential.uuid)
    write_column(canary.pk, stored_column(credential.pk), "credentials_keycanary")
    with pytest.raises(DecryptionError, match="belongs to another row or field"):
        sealed_field(canary).open(KeyCanary.objects.get())


def test_a_row_whose_binding_was_changed_raises(credential: Credential) -> None:
    Credential.objects.update(uuid=uuid.uuid4())
    with pytest.raises(DecryptionError, match="belongs to another row or field"):
        again(credential).secrets()


def test_our_key_around_something_else_raises(credential: Credential, settings: Settings) -> None:
    stranger = MultiFernet([Fernet(key) for key in settings.FIELD_ENCRYPTION_KEY]).encrypt(CANARY.encode())
    write_column(credential.pk, PREFIX + stranger.decode())
    with pytest.raises(DecryptionError) as caught:
        again(credential).secrets()
    shown = "".join(traceback.TracebackException.from_exception(caught.value, capture_locals=True).format())
    assert CANARY not in shown


@pytest.mark.parametrize(
    "value",
    [
        CANARY,
        "",
        PREFIX,
        PREFIX + "gAAAAA",
        PREFIX + CANARY,
        PREFIX + "gAAAA" + "A" * 200 + "é",
        '{"password": "x"}',
    ],
)
def test_plain_text_in_the_column_is_refused_and_not_shown(credential: Credential, value: str) -> None:
    write_column(credential.pk, value)
    loaded = again(credential)
    for use in (loaded.secrets, loaded.save, lambda: serializers.serialize("json", [loaded])):
        with pytest.raises(DecryptionError, match="did not encrypt") as caught:
            use()
        assert caught.value.code == "secret.not_encrypted"
        assert CANARY not in str(caught.value)
    assert CANARY not in repr(vars(loaded))


def test_pasted_ciphertext_is_stored_as_literal_text(credential: Credential) -> None:
    stolen = stored_column(credential.pk)
    mallory = make("mallory's", text=stolen)
    assert password_of(mallory) == stolen
    bare = make("bare", text=stolen.removeprefix(PREFIX))
    assert password_of(bare) == stolen.removeprefix(PREFIX)


def test_validation_and_assignment_never_decrypt(credential: Credential) -> None:
    stolen = stored_column(credential.pk)
    canary = KeyCanary(sealed=stolen)
    canary.full_clean()
    canary.save()
    assert sealed_field(canary).open(KeyCanary.objects.get()) == Secret(stolen)
    assert sealed_field(canary).to_python(stolen) == stolen


def test_assigned_text_is_sealed_by_saving() -> None:
    canary = KeyCanary(sealed=CANARY)
    assert sealed_field(canary).open(canary) == Secret(CANARY)
    canary.save()
    assert CANARY not in repr(vars(canary))
    assert CANARY not in stored_column(canary.pk, "credentials_keycanary")


def test_no_secret_is_no_secret(db: None) -> None:
    bare = Credential.objects.create(name="bare", kind="password", username="ann")
    assert again(bare).sealed is None
    assert again(bare).secrets().present() == ()


@pytest.mark.parametrize(
    "misuse",
    [
        lambda c: Credential.objects.bulk_update([c], ["sealed"]),
        lambda c: Credential.objects.update(sealed=F("name")),
        lambda c: Credential.objects.update(sealed=Concat("name", Value("x"))),
        lambda c: Credential.objects.update(sealed=CANARY),
        lambda c: Credential.objects.update(sealed=Secret(CANARY)),
        lambda c: list(Credential.objects.order_by("sealed")),
        lambda c: list(Credential.objects.order_by("-sealed")),
        lambda c: Credential.objects.latest("sealed"),
    ],
)
def test_misuse_is_refused_and_changes_nothing(credential: Credential, misuse: Callable[[Any], Any]) -> None:
    before = stored_column(credential.pk)
    with pytest.raises(SealedFieldError) as caught, transaction.atomic():
        misuse(credential)
    assert CANARY not in str(caught.value)
    assert stored_column(credential.pk) == before


@pytest.mark.parametrize(
    "lookup",
    ["exact", "iexact", "startswith", "regex", "in", "gt", "contains", "length", "password__startswith"],
)
def test_no_look_up_but_isnull_is_answered(credential: Credential, lookup: str) -> None:
    asked: dict[str, Any] = {f"sealed__{lookup}": CANARY}
    with pytest.raises(SealedFieldError, match="cannot be searched"):
        Credential.objects.filter(**asked)
    with pytest.raises(SealedFieldError, match="cannot be searched"):
        Credential.objects.exclude(**asked)


def test_an_expression_cannot_be_assigned(credential: Credential) -> None:
    setattr(credential, "sealed", Upper("name"))  # noqa: B010 -- its type forbids it
    with pytest.raises(SealedFieldError, match="takes no expressions"):
        credential.save()


def test_isnull_is_answered_also_in_a_subquery(credential: Credential) -> None:
    Credential.objects.create(name="bare", kind="password", username="ann")
    with_secret = Credential.objects.filter(sealed__isnull=False)
    assert [row.name for row in with_secret] == ["web login"]
    assert Credential.objects.filter(pk__in=with_secret).count() == 1
    assert Credential.objects.filter(sealed__isnull=True).count() == 1


@pytest.mark.parametrize(
    "show",
    [
        lambda c: str(list(Credential.objects.values())),
        lambda c: str(list(Credential.objects.values_list("sealed", flat=True))),
        lambda c: str(list(Credential.objects.annotate(s=F("sealed")).values("s"))),
        lambda c: repr(vars(c)),
        lambda c: str(model_to_dict(c)),
        lambda c: pickle.dumps(c).decode("latin-1"),
        lambda c: repr(vars(copy.deepcopy(c))),
        lambda c: serializers.serialize("json", [c]),
        lambda c: serializers.serialize("xml", [c]),
    ],
)
def test_every_way_of_showing_a_row_holds_no_plain_text(
    credential: Credential, show: Callable[[Credential], str]
) -> None:
    assert CANARY not in show(again(credential))
    assert CANARY not in show(credential)


def test_json_of_values_is_refused(credential: Credential) -> None:
    with pytest.raises(TypeError):
        json.dumps(list(Credential.objects.values("sealed")))


def test_a_pickled_row_still_opens(credential: Credential) -> None:
    loaded: Credential = pickle.loads(pickle.dumps(again(credential)))  # noqa: S301 -- made in this line
    assert loaded.secrets().password == Secret(CANARY)


def test_no_form_and_no_serializer_of_all_fields_shows_it(credential: Credential) -> None:
    form = modelform_factory(Credential, fields="__all__")(instance=credential)

    class Everything(ModelSerializer[Credential]):
        class Meta:
            model = Credential
            fields = "__all__"

    assert "sealed" not in form.fields
    assert CANARY not in form.as_p()
    assert CANARY not in str(Everything(credential).data)


def test_dumpdata_holds_ciphertext_and_loaddata_restores_it(credential: Credential, tmp_path: Any) -> None:
    dump = tmp_path / "dump.json"
    call_command("dumpdata", "credentials", output=str(dump), verbosity=0)
    before = stored_column(credential.pk)
    assert CANARY not in dump.read_text()
    assert before in dump.read_text()
    Credential.objects.all().delete()
    call_command("loaddata", str(dump), verbosity=0)
    assert stored_column(credential.pk) == before
    assert password_of(credential) == CANARY


def test_dumpdata_needs_no_key(credential: Credential, other_key: str) -> None:
    out = io.StringIO()
    call_command("dumpdata", "credentials", stdout=out)
    assert stored_column(credential.pk) in out.getvalue()


def test_a_dump_of_a_row_without_secrets_is_restored(tmp_path: Any) -> None:
    Credential.objects.create(name="bare", kind="password", username="ann")
    dump = tmp_path / "dump.json"
    call_command("dumpdata", "credentials", output=str(dump), verbosity=0)
    Credential.objects.all().delete()
    call_command("loaddata", str(dump), verbosity=0)
    assert Credential.objects.get().sealed is None


def fixture_of(sealed: str) -> str:
    row = {"uuid": str(uuid.uuid4()), "sealed": sealed}
    return json.dumps([{"model": "credentials.keycanary", "pk": 1, "fields": row}])


def test_a_fixture_of_plain_text_is_refused() -> None:
    (item,) = serializers.deserialize("json", fixture_of(CANARY))
    with pytest.raises(SealedFieldError, match="A fixture must hold ciphertext"):
        item.save()


def test_a_fixture_written_under_another_key_is_refused(credential: Credential, other_key: str) -> None:
    (item,) = serializers.deserialize("json", fixture_of(stored_column(credential.pk)))
    with pytest.raises(DecryptionError, match="not configured"):
        item.save()


def test_bulk_create_encrypts() -> None:
    Credential.objects.bulk_create(
        [Credential(name="bulk", kind="password", username="u", sealed=Secret('{"password": "in bulk"}'))]
    )
    row = Credential.objects.get(name="bulk")
    assert row.secrets().password == Secret("in bulk")


def test_no_statement_carries_plain_text() -> None:
    with CaptureQueriesContext(
        connection,
    ) as queries:
        make()
    assert CANARY not in str(queries.captured_queries)


def test_the_column_is_text_and_the_migration_holds_no_key(settings: Settings) -> None:
    field = sealed_field(KeyCanary())
    assert field.get_internal_type() == "TextField"
    _name, path, args, kwargs = field.deconstruct()
    assert path == "credentials.fields.StrictEncryptedTextField"
    assert kwargs == {"editable": False, "row_field": "uuid"}
    assert type(field)(*args, **kwargs).row_field == "uuid"


@isolate_apps("credentials")
def test_a_model_without_the_binding_column_fails_its_check() -> None:
    class Loose(models.Model):
        secret = StrictEncryptedTextField()

        class Meta:
            app_label = "credentials"

        def __str__(self) -> str:
            return "loose"

    assert [problem.id for problem in Loose.check()] == ["credentials.E003"]


def test_a_row_without_its_binding_value_is_refused() -> None:
    canary = KeyCanary(sealed="x")
    setattr(canary, "uuid", None)  # noqa: B010 -- its type forbids it
    with pytest.raises(SealedFieldError, match="needs the row's uuid first"):
        canary.save()


def test_sealed_values_compare_by_ciphertext_and_show_nothing(credential: Credential) -> None:
    column = stored_column(credential.pk)
    assert Sealed(column) == again(credential).sealed
    assert len({Sealed(column), Sealed(column)}) == 1
    assert f"{Sealed(column)}" == "<sealed>"
