"""FER2013 and FER+ as a builder of TensorFlow Datasets, without TensorFlow."""

import logging
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow_datasets as tfds

from surrojax.data.dataset import EXPRESSIONS
from surrojax.data.fer2013_csv import (
    LEFT_OUT,
    SIDE,
    USAGES,
    Prepared,
    read_faces,
    read_votes,
)
from surrojax.data.fer2013_files import (
    VOTES_WHERE_FROM,
    WHERE_FROM,
    Sources,
    find_sources,
)
from surrojax.data.tfds_local import (
    LocalInfo,
    decode_png,
    encode_png,
    lock,
    name_damage,
    prepare,
    quiet_tfds,
)
from surrojax.errors import InputError

_DESCRIPTION = """
FER2013: 35,887 grey faces of 48 x 48 pixels from the web, in 7 expressions, from
Kaggle's Facial Expression Recognition Challenge of 2013.
"""
_CITATION = """
@article{goodfellow2015challenges,
  title={Challenges in representation learning: A report on three machine learning
         contests},
  author={Goodfellow, Ian J. and others},
  journal={Neural Networks}, volume={64}, pages={59--63}, year={2015}
}
@inproceedings{barsoum2016training,
  title={Training deep networks for facial expression recognition with crowd-sourced
         label distribution},
  author={Barsoum, Emad and Zhang, Cha and Canton Ferrer, Cristian and Zhang,
          Zhengyou},
  booktitle={International Conference on Multimodal Interaction}, year={2016}
}
"""

_log = logging.getLogger("surrojax")


class Fer2013(tfds.core.GeneratorBasedBuilder):
    """The Kaggle file with its own labels (`default`) or FER+'s (`plus`).

    The splits are `train` (Training), `validation` (PublicTest) and `test`
    (PrivateTest). An example has `image` (`[48, 48, 1]` uint8), `label` (an index
    into `EXPRESSIONS`) and `row`, its place in the Kaggle file from 0: TFDS stores
    examples in the order of a hash, so whoever wants the file's order sorts by it.
    `info.metadata` has `rows`, the rows of each split before any was left out, and
    `left_out`, how many were, by reason.

    Prepare it with `file_format="array_record"` and read it with `as_data_source`;
    neither needs TensorFlow.
    """

    VERSION = tfds.core.Version("1.0.0")
    RELEASE_NOTES = {"1.0.0": "First version."}
    MANUAL_DOWNLOAD_INSTRUCTIONS = f"{WHERE_FROM}; for `plus` also {VOTES_WHERE_FROM}"
    BUILDER_CONFIGS = [
        tfds.core.BuilderConfig(name="default", description="Kaggle's labels."),
        tfds.core.BuilderConfig(name="plus", description="The most-voted of FER+."),
    ]

    def _info(self) -> tfds.core.DatasetInfo:
        return LocalInfo(
            builder=self,
            description=_DESCRIPTION,
            citation=_CITATION,
            homepage="https://www.kaggle.com/c/challenges-in-representation-learning-"
            "facial-expression-recognition-challenge",
            features=tfds.features.FeaturesDict(
                {
                    "image": tfds.features.Image(
                        shape=(SIDE, SIDE, 1), encoding_format="png"
                    ),
                    "label": tfds.features.ClassLabel(names=list(EXPRESSIONS)),
                    "row": tfds.features.Scalar(np.int64),
                }
            ),
            supervised_keys=("image", "label"),
            metadata=tfds.core.MetadataDict(),
        )

    def _split_generators(
        self, dl_manager: tfds.download.DownloadManager
    ) -> dict[str, Iterator[tuple[int, dict[str, Any]]]]:
        plus = self.builder_config.name == "plus"
        sources = find_sources(Path(dl_manager.manual_dir), plus)
        faces = read_faces(sources.kaggle)
        labels, left_out = faces.labels, {}
        if sources.votes is not None:
            labels, reasons = read_votes(sources.votes, faces)
            left_out = {
                reason: int((reasons == index).sum())
                for index, reason in enumerate(LEFT_OUT)
            }
        self.info.metadata["rows"] = {
            split: int((faces.usage == index).sum())
            for index, split in enumerate(USAGES.values())
        }
        self.info.metadata["left_out"] = left_out
        return {
            split: self._generate_examples(
                faces.pixels, labels, np.flatnonzero(faces.usage == index)
            )
            for index, split in enumerate(USAGES.values())
        }

    def _generate_examples(
        self, pixels: np.ndarray, labels: np.ndarray, rows: np.ndarray
    ) -> Iterator[tuple[int, dict[str, Any]]]:
        for row in rows[labels[rows] >= 0].tolist():
            yield (
                row,
                {
                    "image": encode_png(pixels[row]),
                    "label": int(labels[row]),
                    "row": row,
                },
            )


def prepare_and_read(
    config: str, sources: Sources, folder: Path
) -> tuple[dict[str, Any], dict[str, Prepared]]:
    """Reads the splits from `folder`, after putting them there if they are not.

    Args:
      config: `default` or `plus`.
      sources: the files to prepare from.
      folder: the cache of exactly these files; it is made if need be.

    Returns:
      `Fer2013.info.metadata`, and the splits by name.

    Raises:
      InputError: the sources are wrong, or `folder` cannot be written or is damaged.
    """
    # A second process waits, then finds the data there.
    with quiet_tfds(), lock(folder):
        with name_damage(folder):
            builder = Fer2013(
                config=config, data_dir=folder, file_format="array_record"
            )
        if not builder.data_path.exists():
            _log.info(
                "preparing fer2013/%s from %s in %s", config, sources.kaggle, folder
            )
            try:
                prepare(builder, sources.kaggle.parent, folder)
            except InputError:
                # A file that is mended has another folder, so nobody would look here.
                if not any(folder.rglob("dataset_info.json")):
                    shutil.rmtree(folder, ignore_errors=True)
                raise
        with name_damage(folder):
            metadata = {key: builder.info.metadata[key] for key in ("rows", "left_out")}
            return metadata, {s: _read_split(builder, s) for s in USAGES.values()}


def _read_split(builder: Fer2013, split: str) -> Prepared:
    """Reads one split and restores the order of the csv."""
    source = builder.as_data_source(
        split, decoders={"image": tfds.decode.SkipDecoding()}
    )
    records = source.__getitems__(range(len(source)))
    records.sort(key=lambda record: record["row"])
    pixels = np.empty((len(records), SIDE, SIDE), np.uint8)
    for place, record in enumerate(records):
        pixels[place] = decode_png(record["image"])
    return Prepared(pixels, np.array([r["label"] for r in records], np.int32))
