"""Errors of processing look on the wire as Backstage's do."""

from app.model.processing_error import ProcessingError

CAUSE = ProcessingError("TypeError", "/spec must be object - type: object", "/spec")
ERROR = ProcessingError.caused("InputError", "Processor X threw an error", CAUSE)


def test_an_error_says_what_it_was_caused_by_and_keeps_the_place():
    assert str(ERROR) == (
        "InputError: Processor X threw an error; caused by "
        "TypeError: /spec must be object - type: object"
    )
    assert ERROR.pointer == "/spec"


def test_an_error_is_serialized_with_its_cause():
    assert ERROR.serialized() == {
        "name": "InputError",
        "message": "Processor X threw an error; caused by "
        "TypeError: /spec must be object - type: object",
        "cause": {"name": "TypeError", "message": "/spec must be object - type: object"},
    }
    assert "cause" not in CAUSE.serialized()


def test_a_status_item_shows_name_and_message():
    assert ERROR.status_item() == {
        "type": "backstage.io/catalog-processing",
        "level": "error",
        "message": str(ERROR),
        "error": ERROR.serialized(),
    }
