"""How an experiment performs, as the API tells it."""

from typing import Any

from rest_framework import serializers


def _make_rate(help_text: str) -> serializers.FloatField:
    return serializers.FloatField(allow_null=True, help_text=help_text)


class MetricsItem(serializers.Serializer[Any]):
    """The metrics of the completed SIM jobs."""

    sypd = _make_rate("Simulated years per day of run time.")
    asypd = _make_rate("Simulated years per day of queue and run time, and of a POST job.")
    rsypd = _make_rate("Simulated years per day from the first SIM to the last TRANSFER or CLEAN.")
    chsy = _make_rate("Core hours per simulated year.")
    jpsy = _make_rate("Joules per simulated year.")
    parallelization = serializers.IntegerField(help_text="Processing elements of a SIM job.")
    years = serializers.FloatField(help_text="Simulated years.")
    energy = serializers.IntegerField(help_text="Joules.")
    footprint = serializers.FloatField(help_text="Grams of CO₂.")
    considered = serializers.SerializerMethodField(help_text="How many SIM jobs the metrics are made of.")
    left_out = serializers.SerializerMethodField(help_text="How many are left out: their run time is no measure.")

    def get_considered(self, metrics: Any) -> int:
        """Count the simulations."""
        return len(metrics.considered)

    def get_left_out(self, metrics: Any) -> int:
        """Count the others."""
        return len(metrics.left_out)


class SectionCostItem(serializers.Serializer[Any]):
    """What the jobs of a section took."""

    name = serializers.CharField()
    jobs = serializers.IntegerField()
    completed = serializers.IntegerField(source="done")
    queue_seconds = serializers.FloatField(source="queue", help_text="The middle of the completed attempts.")
    run_seconds = serializers.FloatField(source="run", help_text="The middle of the completed attempts.")
    longest_run_seconds = serializers.IntegerField(source="longest")
    retrials = serializers.IntegerField(help_text="Attempts beyond the first at a job in a run.")
    failed_attempts = serializers.IntegerField(source="failed")
    core_hours = serializers.FloatField(help_text="Of all attempts.")
    failed_core_hours = serializers.FloatField(help_text="Of the failed ones among them.")
    energy = serializers.IntegerField(help_text="Joules of all attempts.")


class PerformanceItem(serializers.Serializer[Any]):
    """How an experiment performs."""

    metrics = MetricsItem()
    platform = serializers.CharField(source="settings.platform", help_text="Of the SIM jobs; blank if not known.")
    sections = SectionCostItem(many=True)
    trouble = serializers.CharField(help_text="What could not be read; blank if all could.")
