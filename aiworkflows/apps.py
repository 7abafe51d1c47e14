from django.apps import AppConfig


class AiWorkflowsConfig(AppConfig):
    name = "aiworkflows"
