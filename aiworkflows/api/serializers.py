"""Proposals as the API shows and takes them."""

from typing import Any

from rest_framework import serializers

from aiworkflows.models import LONGEST_REQUEST, Proposal


class Strict(serializers.Serializer[Any]):
    """Refuses keys it does not know."""

    def to_internal_value(self, data: Any) -> Any:
        if isinstance(data, dict):
            unknown = sorted(set(data) - set(self.fields))
            if unknown:
                raise serializers.ValidationError({str(key)[:64]: ["Unknown key."] for key in unknown})
        return super().to_internal_value(data)


class NewProposal(Strict):
    """A sentence."""

    request = serializers.CharField(max_length=LONGEST_REQUEST)


class Answer(Strict):
    """Answers to questions, or another of the alternatives (`runbook`)."""

    parameters = serializers.DictField(required=False)
    targets = serializers.CharField(max_length=2000, required=False)
    runbook = serializers.CharField(max_length=100, required=False)


class Submission(Strict):
    """How to submit. `hold`: the run waits for its author to look at the plan and start it."""

    hold = serializers.BooleanField(default=False)
    reason = serializers.CharField(max_length=2000, allow_blank=True, default="")


class ProposalSerializer(serializers.ModelSerializer[Proposal]):
    """A proposal."""

    author = serializers.CharField(source="author.username", read_only=True)

    class Meta:
        model = Proposal
        fields = (
            "id",
            "status",
            "request",
            "author",
            "runbook",
            "definition",
            "targets",
            "parameters",
            "confidence",
            "alternatives",
            "questions",
            "reason",
            "time",
            "run",
            "planner",
            "model",
            "created",
        )
        read_only_fields = fields
