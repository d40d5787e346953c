"""The registered model as MLflow loads it: from this code and safetensors, nothing unpickled."""

from pathlib import Path
from typing import Any

import numpy as np
from mlflow.models import set_model
from mlflow.pyfunc.model import PythonModel


class PrefixFeatures(PythonModel):
    """float32 images (batch, 3, height, width) in [0, 1] to flattened features (batch, n)."""

    def load_context(self, context: Any) -> None:  # noqa: ANN401 - MLflow's own type is private
        """Check and load the two files beside each other in the model's artifacts."""
        from synthgap.tracking.prefix import feature_function

        self.features = feature_function(Path(context.artifacts["weights"]).parent)

    def predict(self, context: Any, model_input: np.ndarray, params: Any = None) -> np.ndarray:  # noqa: ANN401, ARG002 - MLflow's signature
        """Return what the first fresh unit would receive."""
        return self.features(model_input)


set_model(PrefixFeatures())
