"""Every refusal the engine can give: a code, a sentence, and what to do next.

A refusal crosses the process boundary as an ``error`` event (see :mod:`training.events`) carrying
``code`` and ``params``, so that the portal can say the same sentence in the reader's language:
``gettext(MESSAGES[code]) % params``. The exit code tells the supervisor what kind of end it was.
"""

from __future__ import annotations

from typing import Any

EXIT_DONE = 0
#: ``diff``: the two are not the same. Not 1, which a crash gives, nor 2, which is argparse's.
EXIT_DIFFERENT = 3
#: The work was refused or failed for a reason that trying again does not mend (an ``error`` event
#: says which).
EXIT_REFUSED = 10
#: Stopped on request (SIGTERM) after the complete training state was saved; running again resumes.
EXIT_STOPPED = 20


def gettext_noop(message: str) -> str:
    """Mark a sentence for translation and return it unchanged (no Django here)."""
    return message


_ = gettext_noop

#: code → sentence with %-placeholders. One dictionary, so that each sentence is written once.
MESSAGES: dict[str, str] = {
    "spec_invalid": _("The specification is not valid: %(detail)s"),
    "nan_loss": _(
        "The loss became %(value)s at step %(step)d. Training stopped there; everything up to "
        "step %(kept_step)d was kept. Try a lower learning rate, a longer warm-up or gradient "
        "clipping."
    ),
    "disk_full": _(
        "The disk is full: %(what)s could not be written. The last complete checkpoint was kept. "
        "Free some space, then resume."
    ),
    "out_of_memory": _(
        "There is not enough memory: %(needed)s needed, %(available)s available. Try a smaller "
        "batch, a shorter sequence or a smaller model."
    ),
    "busy": _("Another process is already working in this folder."),
    # The engine: before and while a run trains.
    "devices_missing": _(
        "%(wanted)s devices of the kind %(kind)s are asked for; this machine offers %(found)s."
    ),
    "state_of_another_run": _(
        "This folder holds the training state of another specification. Use a new folder."
    ),
    "architecture_not_trained": _(
        "The method %(method)s does not train %(architecture)s models, but: %(known)s."
    ),
    "architecture_not_writing": _("A %(architecture)s model writes no text. These do: %(known)s."),
    "sequence_too_long_for_source": _(
        "The source's context holds %(context)s tokens at most. Choose a shorter sequence."
    ),
    "lora_adapts_nothing": _(
        "A %(architecture)s model has none of these layers: LoRA adapts the matrices of "
        "transformers."
    ),
    "text_needs_tokenizer": _(
        "A network that reads text needs a tokenizer: start from a source, or name a checkpoint "
        "whose tokenizer is used."
    ),
    "vocabulary_too_small": _(
        "The model has %(vocabulary)s rows for %(tokens)s tokens of the tokenizer."
    ),
    # Weights: reading a safetensors file (training.weights.header).
    "weights_not_safetensors": _("%(file)s is not a safetensors file."),
    "weights_empty": _("%(file)s is empty."),
    "weights_pickle": _(
        "%(file)s is a Python pickle, whatever its name says; it was refused, because opening a "
        "pickle can run code. Save the model again with safe_serialization=True."
    ),
    "weights_zip": _("%(file)s is a zip archive, whatever its name says, and not safetensors."),
    "weights_hdf5": _("%(file)s is an HDF5 file, whatever its name says, and not safetensors."),
    "weights_lfs_pointer": _(
        "%(file)s is a Git LFS pointer and not the weights themselves. Run git lfs pull where it "
        "came from."
    ),
    "weights_header_too_large": _(
        "The header of %(file)s claims %(size_mb)s MB; at most %(limit_mb)s MB are read."
    ),
    "weights_header_invalid": _("The header of %(file)s is not valid (at %(what)s)."),
    "weights_name_twice": _("%(file)s names the tensor %(name)s twice."),
    "weights_dtype": _("The tensor %(name)s in %(file)s has a type that is not read: %(dtype)s."),
    "weights_size_wrong": _(
        "The tensor %(name)s in %(file)s does not take the bytes that its shape and type ask for."
    ),
    "weights_overlap": _("Tensors overlap in %(file)s, at %(name)s."),
    "weights_gap": _("There are bytes that belong to no tensor in %(file)s, before %(name)s."),
    "weights_truncated": _(
        "%(file)s is cut off: it should have %(expected)s bytes and has %(found)s."
    ),
    "weights_trailing": _("%(file)s has %(extra)s bytes after its last tensor."),
    # Checkpoints of our own (training.weights.checkpoint).
    "checkpoint_missing": _("There is no checkpoint in %(folder)s: %(file)s is missing."),
    "checkpoint_invalid": _("The checkpoint's %(file)s cannot be read: %(detail)s."),
    "checkpoint_version": _(
        "The checkpoint was written by a newer Graft (format %(version)s); this one reads "
        "%(known)s."
    ),
    "checkpoint_tensors": _("The checkpoint's weights do not fit its configuration: %(detail)s."),
    "checkpoint_corrupt": _(
        "%(file)s has changed since it was written: its hash is not the one on the card."
    ),
    "checkpoint_is_ensemble": _(
        "This checkpoint is an ensemble. It can be judged and downloaded; for all else take one of "
        "its members."
    ),
    # Predictions (training.predicting).
    "predict_without_head": _(
        "A %(architecture)s model of this kind predicts neither classes nor a number. Choose a "
        "classifier, a model that was trained to predict a number, or an ensemble."
    ),
    "predict_head_of_another": _(
        "The head was fitted on the features of another checkpoint. Name the one that it was "
        "fitted on."
    ),
    "predict_needs_text": _("The model reads texts, and these data hold none. Choose other data."),
    "predict_needs_image": _("The model sees images, and these data hold none. Choose other data."),
    "predict_needs_table": _(
        "The model looks at the columns of a table, and these data hold none. Choose other data, "
        "or prepare them again as a table."
    ),
    "predict_pairs_expected": _(
        "The model learned from pairs of texts, and these are single ones. Prepare the data again "
        "and name the column of the second text."
    ),
    "predict_pairs_unexpected": _(
        "The model learned from single texts, and these are pairs. Prepare the data again without "
        "a second text."
    ),
    "predict_columns_missing": _(
        "The model looks at columns that the data lack (%(count)s): %(columns)s. The data have: "
        "%(known)s. Give them these columns; one with a reason behind its name was left out when "
        "the data were prepared: give it a type, and prepare them again."
    ),
    "predict_columns_typed": _(
        "Columns are of another type than the model learned: %(columns)s. Prepare the data again "
        "with other types, or choose that columns of another type are converted."
    ),
    "predict_unknown_labels": _(
        "Rows whose %(target)s the model does not know: %(rows)s (%(names)s). Nothing was "
        "predicted. Correct them, or choose that such labels are left out."
    ),
    "predicted_learned": _(
        "Examples that the model learned from: %(rows)s. Its scores on them say little about "
        "others."
    ),
    "predicted_watched": _(
        "Examples by which the model's weights were chosen (the validation split): %(rows)s."
    ),
    "predicted_overlap_unknown": _(
        "Nobody knows whether the model learned from some of these examples."
    ),
    "predicted_without_labels": _(
        "The data have no %(target)s: everything is predicted, and nothing is scored."
    ),
    "predicted_labels_unknown": _(
        "Rows whose %(target)s the model does not know: %(rows)s (%(names)s). They are "
        "predicted, and left out of the scores."
    ),
    "predicted_labels_unread": _(
        "Rows whose %(target)s is no number: %(rows)s (%(names)s). They are predicted, and left "
        "out of the scores."
    ),
    "predicted_labels_numbers": _(
        "The %(target)s of the data are numbers, and the model tells classes apart."
    ),
    "predicted_labels_classes": _(
        "The %(target)s of the data are classes, and the model predicts a number."
    ),
    "predicted_labels_missing": _(
        "Rows without %(target)s: %(rows)s. They are predicted, and left out of the scores."
    ),
    "predicted_no_known_class": _(
        "No row has a class of %(target)s that the model knows, so nothing is scored. It knows: "
        "%(known)s."
    ),
    "predicted_no_number": _("No row has a number as its %(target)s, so nothing is scored."),
    "predicted_number_renamed": _(
        "The number of these data is called %(found)s, and the model learned %(learned)s. They are "
        "compared as if they were the same."
    ),
    "predicted_images_fitted": _(
        "The model sees %(px)s × %(px)s pixels. Images that were scaled: %(scaled)s; that are "
        "not square, so that their middle is seen: %(cropped)s."
    ),
    "predicted_images_grey": _(
        "The model sees colours. Images that are grey, and were given three equal channels: "
        "%(rows)s."
    ),
    "predicted_images_coloured": _(
        "The model sees grey. Images in colour, of which the brightness is seen: %(rows)s."
    ),
    "predicted_columns_extra": _(
        "Columns of these data that the model does not look at (%(count)s): %(columns)s."
    ),
    "predicted_column_parsed": _(
        "%(column)s holds categories, and the model learned numbers: they were read as such. "
        "Rows with what is no number: %(rows)s; it counts as missing."
    ),
    "predicted_column_named": _(
        "%(column)s holds numbers, and the model learned categories: each number was taken for the "
        "category that is written so."
    ),
    "predicted_categories_unseen": _(
        "%(column)s, rows with categories that the model has never seen: %(rows)s (%(names)s). "
        "They count as unknown."
    ),
    "predicted_column_empty": _("%(column)s has no value in any row."),
    # Ensembles (training.ensembles).
    "ensemble_expected": _("This checkpoint is no ensemble."),
    "member_unreadable": _("Member %(number)s cannot be read: %(detail)s"),
    "member_is_ensemble": _(
        "Member %(number)s is an ensemble itself. Take its members instead of it."
    ),
    "member_without_classes": _(
        "Member %(number)s, a %(architecture)s model, does not say which classes it tells apart."
    ),
    "member_of_other_data": _(
        "Member %(number)s, a %(architecture)s model, does not read this kind of data."
    ),
    "member_classes_differ": _(
        "Member %(number)s tells other classes apart than the data. Only the member knows: "
        "%(extra)s. Only the data have: %(missing)s."
    ),
    "member_target_differs": _(
        "Member %(number)s predicts the column %(found)s, and the first member %(wanted)s."
    ),
    "ensemble_needs_test": _(
        "Weights and stacking are fitted on the validation split and must be judged on a test "
        "split, which these data do not have. Take the mean of probabilities or of logits."
    ),
    "stacking_lacks_class": _(
        "The validation split has no example of %(name)s, so stacking would never predict it. Take "
        "the mean or weights."
    ),
    # Copying weights (training.weights.plan, copy, transfer).
    "probe_not_comparable": _(
        "What the two models compute cannot be compared: their vocabularies, the sizes of their "
        "images, or the sizes of their outputs differ."
    ),
    "rule_unreadable": _(
        "This is no rule: %(rule)s. Write layer.{i} -> layer.{2i}, skip NAME or freeze NAME."
    ),
    "rules_too_many": _("There are %(count)s rules; at most %(limit)s are read."),
    "rule_matches_nothing": _(
        "The rule %(rule)s matches nothing: either the source or the new model has no such names."
    ),
    "rule_two_sources": _("Two rules give %(target)s two sources, %(one)s and %(other)s."),
    "rule_does_not_fit": _(
        "The rule %(rule)s would copy %(source)s to %(target)s, which does not fit: %(reason)s"
    ),
    "pattern_matches_nothing": _(
        "The pattern %(pattern)s matches none of the model's tensors; the first are %(examples)s."
    ),
    "nothing_to_copy": _(
        "Not one tensor of the source fits this model, so there is nothing to copy: %(reason)s"
    ),
    "copy_not_exact": _(
        "After copying, %(name)s is not equal to its source (%(count)s tensors in all). Nothing "
        "was kept."
    ),
    # Merging checkpoints (training.weights.merge, merging).
    "merge_architectures": _(
        "Checkpoint %(number)d is of the architecture %(found)s and the first is of %(wanted)s. "
        "Only models of one architecture can be merged."
    ),
    "merge_settings": _(
        "Checkpoint %(number)d has %(found)s for %(name)s and the first has %(wanted)s. Only "
        "models of the same settings can be merged."
    ),
    "merge_tensors": _(
        "The tensor %(name)s is not the same size in checkpoint %(number)d as in the first, or is "
        "missing there."
    ),
    "merge_tokenizers": _(
        "Checkpoint %(number)d has another tokenizer than the first: the same row would stand for "
        "another token."
    ),
    "merge_adapter": _(
        "Checkpoint %(number)d has no LoRA weights of its own that fit the base. Choose one that "
        "was trained with LoRA."
    ),
    "adapter_unreadable": _("The LoRA weights of a checkpoint cannot be read: %(detail)s."),
    # Tokenizers (training.data.tokenizer).
    "tokenizer_missing": _(
        "There is no tokenizer: the folder has neither tokenizer.json nor vocab.json with "
        "merges.txt. Add those files and try again."
    ),
    "tokenizer_missing_vocabulary": _(
        "There is no tokenizer: the folder has neither tokenizer.json nor vocab.txt. Add one of "
        "them and try again."
    ),
    "tokenizer_needed": _(
        "The source reads no text, so it has no tokenizer for the new model. Choose one."
    ),
    "tokenizer_does_not_fit": _(
        "%(architecture)s cannot be stored with this tokenizer: it would be read as another one, "
        "or not at all. Choose that of a %(architecture)s checkpoint."
    ),
    "tokenizer_too_large": _(
        "%(file)s is too large for a tokenizer: at most %(limit)s are read. Check that it is the "
        "right file."
    ),
    "tokenizer_damaged": _(
        "The tokenizer's %(file)s cannot be read (%(detail)s). Download or save it again."
    ),
    "tokenizer_unsupported": _(
        "The tokenizer is of a kind that Graft does not read for this model: %(item)s is %(value)s "
        "instead of %(wanted)s. Choose a model with its architecture's own tokenizer."
    ),
    # Packing text into sequences (training.data.packing).
    "split_missing": _(
        "The data set has no %(split)s split. Prepare it again with a %(split)s share above zero."
    ),
    "corpus_too_short": _(
        "The %(split)s text has %(tokens)d tokens, fewer than one sequence of %(sequence_length)d. "
        "Choose a shorter sequence or add more text."
    ),
    # Uploaded files: what they are (training.data.sniff).
    "file_missing": _("The uploaded file is no longer there. Upload it again."),
    "file_empty": _("The file is empty. Choose a file with text in it."),
    "content_archive": _(
        "This is a %(kind)s archive and not text (Word and Excel files are ZIP archives, too). "
        "Images come as ZIP; for texts, upload plain text, CSV or JSON Lines."
    ),
    "content_workbook": _(
        "This is a workbook of a spreadsheet program. Save the sheet with the table as CSV "
        "(UTF-8), and upload that."
    ),
    "content_image": _(
        "This is one picture (%(kind)s). Pack a folder of pictures as ZIP, or upload plain text, "
        "CSV or JSON Lines."
    ),
    "content_model": _(
        "This is a file of arrays or model weights (%(kind)s) and not text. Upload models under "
        "Checkpoints, and here plain text, CSV or JSON Lines."
    ),
    "content_table": _(
        "This is a %(kind)s table. Parquet, CSV and JSON Lines are read, when their format is "
        "chosen or left to be found: save it as one of these."
    ),
    "content_document": _(
        "This is a %(kind)s document. Save it as plain text (UTF-8), and upload that."
    ),
    "content_pickle": _(
        "This is a Python pickle, whatever its name says. It was refused, because opening a pickle "
        "can run code. Export the texts as JSON Lines or CSV, and upload that."
    ),
    "content_binary": _(
        "This is a binary file (%(kind)s) and not text. Upload plain text, CSV or JSON Lines."
    ),
    "content_utf16": _(
        "This looks like %(kind)s without the mark that says so. Save it as UTF-8, and upload it "
        "again."
    ),
    # Reading text (training.data.readers).
    "text_not_utf8": _(
        "The text is not valid UTF-8: byte %(byte)d, in line %(line)d. Save the file as UTF-8, or "
        "mend that line, and upload it again."
    ),
    "text_not_utf8_like": _(
        "The text is not valid UTF-8: byte %(byte)d, in line %(line)d. It looks like %(encoding)s: "
        "open it as such, save it as UTF-8, and upload it again."
    ),
    "text_broken": _(
        "The text says that it is %(encoding)s, but byte %(byte)d, in line %(line)d, is not. The "
        "file may be cut off. Save it as UTF-8, and upload it again."
    ),
    "text_nul": _(
        "There is a NUL character in line %(line)d, so this is not plain text. Remove it, or "
        "export the file again."
    ),
    "line_too_long": _(
        "Line %(line)d is longer than %(limit)d million characters. Break the text into lines, or "
        "give each document a line of its own in JSON Lines."
    ),
    "text_column_missing": _(
        "There is no column %(column)s. The columns are: %(columns)s. Choose the one that holds "
        "the text."
    ),
    "text_column_not_found": _(
        "No column seems to hold text. The columns are: %(columns)s. Choose the one to read."
    ),
    "json_list": _(
        "This is one JSON list. Write JSON Lines instead: an object a line, without the brackets "
        "and commas around them."
    ),
    "json_row_invalid": _(
        "Line %(line)d is not a complete JSON object (at character %(character)d: %(detail)s). "
        "Good rows before it: %(good)d. Mend or remove that line, and upload the file again."
    ),
    "json_row_not_object": _(
        'Line %(line)d is a JSON %(type)s and not an object such as {"text": "…"}. %(good)d '
        "rows before it are fine. Mend or remove that line, and upload the file again."
    ),
    "json_text_missing": _(
        "The object in line %(line)d has no %(column)s. It has: %(columns)s. Add it, or choose "
        "another text column."
    ),
    "json_text_null": _(
        'In line %(line)d, %(column)s is null. Write a text there ("" for none), or remove '
        "the line."
    ),
    "json_text_not_string": _(
        "In line %(line)d, %(column)s is a JSON %(type)s and not a string. Write it in quotes, or "
        "choose another text column."
    ),
    "parquet_needed": _("This is no Parquet file. Choose its format, or let it be found."),
    "parquet_broken": _(
        "This Parquet file is damaged or did not arrive whole (%(detail)s). Write it again and "
        "upload it again."
    ),
    "parquet_text_not_string": _(
        "The column %(column)s holds values of the type %(type)s and no text. Choose another "
        "column."
    ),
    "parquet_label_not_simple": _(
        "The column %(column)s holds values of the type %(type)s, which are no labels. Choose a "
        "column of text, numbers or truth values."
    ),
    "csv_fields": _(
        "Row %(row)d, in line %(line)d, has %(found)d fields where the header has %(expected)d. "
        "Put texts that hold the separator or line breaks in double quotes."
    ),
    "csv_quote_open": _(
        "In row %(row)d, which begins in line %(line)d, a double quote is opened and not closed. "
        "Close it, or write quotes inside a text twice."
    ),
    "csv_row_invalid": _(
        "Row %(row)d, in line %(line)d, cannot be read as CSV: %(detail)s. Write quotes inside a "
        "text twice."
    ),
    # Preparing a data set (training.data.prepare).
    "documents_all_empty": _(
        "There is no text in the file: all of its %(empty)d documents are empty. Choose another "
        "file or another text column."
    ),
    "documents_too_few": _(
        "There are %(documents)d different documents; splitting takes at least %(needed)d. Add "
        "more text and upload it again."
    ),
    "dataset_without_labels": _(
        "This data set has no labels. Prepare it again and name the column that holds them."
    ),
    "labels_are_numbers": _(
        "The labels of this data set are numbers, which are predicted by regression. To tell them "
        "apart as classes, prepare it again and choose that its labels are classes."
    ),
    "labels_are_tags": _(
        "The labels of this data set are tags of words. Train a run that tags words on it, or "
        "prepare it again and name the text column and the column with labels of whole texts."
    ),
    "labels_are_not_tags": _(
        "This data set has no tags of words. Prepare one from CoNLL, or from rows with a list of "
        "words and a list of tags."
    ),
    "tag_one_in_training": _(
        "Every word of the training sentences has the tag %(tag)s, so there is nothing to learn. "
        "Use more sentences."
    ),
    "words_all_cut": _(
        "No word of the %(split)s split has a token within the limit of %(tokens)d tokens. Choose "
        "a longer one, or data that the tokenizer knows."
    ),
    "labels_are_classes": _(
        "The labels of this data set are classes. To predict them as numbers, prepare it again and "
        "choose that its labels are numbers."
    ),
    "numbers_constant_in_training": _(
        "Every training example has the same number (%(value)s), so there is nothing to learn."
    ),
    "head_needs_classes": _(
        "The distance to each class's mean tells classes apart, and these labels are numbers. "
        "Choose a linear probe, one hidden layer or nearest neighbours."
    ),
    "attention_needs_classes": _(
        "Attention is learned together with classes, and these labels are numbers. Choose another "
        "pooling."
    ),
    "examples_fewer_than_classes": _(
        "There are %(classes)d classes, and each needs an example at least. Choose more examples."
    ),
    "batch_larger_than_data": _(
        "There are only %(images)d images to train on, and a batch holds each at most once. Choose "
        "a smaller batch."
    ),
    "method_needs_images": _(
        "This method learns from images. Choose a data set of images, with or without labels."
    ),
    "features_need_text": _(
        "%(architecture)s reads no text, so it has no features of texts. Choose a language model."
    ),
    "features_need_images": _(
        "%(architecture)s sees no images, so it has no features of them. Choose an image network."
    ),
    "pooling_of_the_other_kind": _(
        "%(architecture)s has nothing to pool that way. Choose the mean or the maximum."
    ),
    "attention_too_large": _(
        "Attention needs what the model sees in each of %(places)s places of every example at "
        "hand, here %(size)s GiB, and takes %(most)s GiB at most. Use less data, smaller images or "
        "shorter texts, or another pooling."
    ),
    "pooling_needs_token": _(
        "%(architecture)s has no class token. Choose the mean or the maximum of its map."
    ),
    "image_size_fixed": _(
        "This network sees images of %(size)d × %(size)d pixels and no others. Leave the size "
        "empty."
    ),
    "image_channels": _(
        "The network sees images of %(channels)d channels; data has grey (1) or colour (3)."
    ),
    "dataset_not_text": _(
        "This data set holds images, sounds or a table, and this method learns from text. Choose "
        "other data."
    ),
    "pooling_sees_nothing": _(
        "In %(architecture)s the first token looks at nothing but itself. Choose the mean, the "
        "maximum or the last token."
    ),
    "estimate_not_possible": _("There is no estimate for the method %(method)s yet."),
    "label_column_missing": _(
        "There is no column %(column)s to take labels from. The columns are: %(columns)s."
    ),
    "label_column_is_text": _(
        "%(column)s holds the text, so it cannot hold the label too. Choose another column for one "
        "of the two."
    ),
    "pair_column_missing": _(
        "There is no column %(column)s to take second texts from. The columns are: %(columns)s."
    ),
    "pair_column_taken": _(
        "%(column)s is read as the text or as the label already, so it cannot hold the second text "
        "too. Choose another column for one of them."
    ),
    "pairs_none": _(
        "No row has a second text in the column %(column)s. Choose another column, or leave it "
        "empty: each text then stands alone."
    ),
    "json_label_not_simple": _(
        "In line %(line)d, the label %(column)s is a JSON %(type)s. A label is a string, a number, "
        "true or false."
    ),
    "words_not_list": _(
        "In line or row %(line)d, %(column)s holds no list of words. Each sentence needs one, "
        "every word in quotes. Nothing was taken in."
    ),
    "tags_not_list": _(
        "In line or row %(line)d, %(column)s holds no list of tags. Each sentence needs one, with "
        "a tag for each word. Nothing was taken in."
    ),
    "tags_lengths": _(
        "The sentence in line or row %(line)d has %(words)d words and %(tags)d tags. Each word "
        "needs one tag. Nothing was taken in."
    ),
    "tag_missing": _(
        "In the sentence in line or row %(line)d, word %(place)d (%(word)s) has no tag. Give it "
        "one, such as O. Nothing was taken in."
    ),
    "tags_one": _(
        "Every word has the tag %(tag)s in the column %(column)s, so there is nothing to learn. "
        "Take the tags from another column."
    ),
    "tags_too_many": _(
        "The column %(column)s has %(tags)d different tags for %(words)d words: too many to be "
        "tags. Take the tags from another column."
    ),
    "conll_no_columns": _(
        "The lines of this file have no two columns, parted by tabs or spaces. CoNLL has a word "
        "and its tag in each line, and a blank line after each sentence."
    ),
    "conll_column": _(
        "The columns of CoNLL are numbered from 1 to %(columns)d, or from -1 backwards, and "
        "%(column)s is none of them."
    ),
    "conll_columns": _(
        "Line %(line)d has %(found)d columns where the others have %(expected)d. Correct it; "
        "a blank line ends a sentence. Nothing was taken in."
    ),
    "labels_none": _(
        "No row has a label in the column %(column)s. Choose another column, or leave it empty."
    ),
    "labels_one_class": _(
        "There is only one class, so there is nothing to tell apart. Take the labels from "
        "elsewhere, or add examples of other classes."
    ),
    "labels_too_many": _(
        "There are %(classes)d different labels for %(examples)d different examples: too many to "
        "be classes. Take the labels from elsewhere, or none; if they are numbers, choose that."
    ),
    "labels_no_numbers": _(
        "%(examples)d labels are no numbers, such as %(value)s. Correct them, take the labels from "
        "another column, or choose that they are classes."
    ),
    "numbers_not_finite": _(
        "%(examples)d labels are not finite, or larger than can be computed with, such as "
        "%(value)s. Correct them, or leave these examples out."
    ),
    "numbers_too_few": _(
        "Only %(examples)d different examples have a number, and %(needed)d are needed: one for "
        "each split."
    ),
    "numbers_constant": _(
        "Every example has the same number (%(value)s), so there is nothing to predict. Take the "
        "labels from another column."
    ),
    "label_rare": _(
        "The class %(label)s has %(examples)d different examples, and each class needs %(needed)d, "
        "one for each split (other classes as rare: %(others)d). Add examples, or choose to leave "
        "out rare classes."
    ),
    # Tables.
    "table_columns_too_many": _(
        "The table has %(columns)d columns, and at most %(most)d are taken. Leave some out and "
        "upload it again, or see whether rows and columns are exchanged."
    ),
    "table_rows_too_many": _(
        "The table is too large: with %(columns)d columns at most %(most)d rows are taken. Upload "
        "fewer rows, or fewer columns."
    ),
    "table_no_rows": _(
        "The table has no rows below the names of its %(columns)d columns. Upload one with rows."
    ),
    "table_rows_too_few": _(
        "There are %(rows)d different rows, and at least %(needed)d are needed, one for each "
        "split. Add rows, or do without a test split."
    ),
    "table_names_twice": _(
        "Two columns are called %(column)s. Rename one of them and upload the file again."
    ),
    "table_column_unknown": _(
        "There is no column %(column)s. The columns are: %(columns)s. Correct the name, or remove "
        "it from the settings."
    ),
    "table_column_nested": _(
        "The column %(column)s holds lists or objects, which cannot be used. Leave it out, or "
        "upload a table with a column for each of its parts."
    ),
    "table_column_not_number": _(
        "The column %(column)s is to hold numbers, and none of its values is one; the first is "
        "“%(value)s”. Choose another type for it."
    ),
    "table_categories_too_many": _(
        "The column %(column)s is to hold categories, and has %(values)d different values; at most "
        "%(most)d are taken. Choose another type for it."
    ),
    "table_no_inputs": _(
        "Of the %(columns)d columns none is left to learn from: the others are targets or left "
        "out. Give at least one other column a type."
    ),
    "table_target_ignored": _(
        "The column %(column)s is a target and left out at the same time. Choose one of the two."
    ),
    "table_target_empty": _(
        "No row has a value in %(column)s, so it cannot be learned. Choose another target."
    ),
    "table_target_constant": _(
        "%(column)s is “%(value)s” in every row that has a value, so there is nothing to learn. "
        "Choose another target."
    ),
    "table_target_one_class": _(
        "%(column)s has only one class, “%(value)s”, in %(rows)d rows, so there is nothing to tell "
        "apart. Choose another target, or add rows of other classes."
    ),
    "table_target_too_many": _(
        "%(column)s has %(values)d different values in %(rows)d rows: too many to be classes (at "
        "most %(most)d, and half as many as rows). Make it a number, or choose another target."
    ),
    "dataset_is_sound": _(
        "This data set holds sounds, and sounds are learned to make more of them: choose the "
        "conditional VAE or the conditional GAN, or other data."
    ),
    "dataset_is_table": _(
        "This data set holds a table, and this method does not learn from tables. Choose other "
        "data."
    ),
    "dataset_not_table": _(
        "This data set holds no table, and this method learns from tables. Choose other data."
    ),
    "table_without_target": _(
        "This table has no target. Say which column is to be predicted, on the page of the data "
        "set, and train on the version that this makes."
    ),
    "table_target_number": _(
        "The target %(column)s is a number, and this method tells classes apart. Make it a "
        "category on the page of the data set, or choose another target."
    ),
    "table_target_unknown": _("%(column)s is no target of this table. Its targets are: %(known)s."),
    "task_without_labels": _(
        "No row of the %(split)s split has a label of the target %(column)s. Choose other targets, "
        "or give it more labels."
    ),
    "source_without_trunk": _(
        "The source is the wide part alone, and has no network to carry over. Choose another "
        "source, or train without one."
    ),
    "table_columns_missing": _(
        "The model looks at columns that this table does not have, or has as another type: "
        "%(columns)s. Give it a table with them."
    ),
    "table_columns_new": _(
        "The source knows nothing of these columns: %(columns)s. Leave them out of the table, or "
        "train without a source."
    ),
    "cross_column_unknown": _(
        "There is no input %(column)s to cross. The table's inputs are: %(known)s."
    ),
    "checkpoint_without_table": _(
        "The checkpoint does not say which columns it looks at: table.json is missing or "
        "unreadable. Choose another one."
    ),
    "model_of_tables": _(
        "A %(architecture)s model goes with the columns of one table, and this does not carry "
        "them along. Start a run from the checkpoint instead."
    ),
    "method_needs_labelled_images": _(
        "This method learns images or sounds of classes. Choose a data set of such, in a folder "
        "for each class."
    ),
    "generate_square": _(
        "Images are learned as squares. Leave the width empty; only the pictures of sounds have "
        "one of their own, and theirs follows from the data."
    ),
    "sound_other_size": _(
        "The source makes pictures of %(known)s, and those of these sounds are of %(found)s. Check "
        "the data again with the source's bands and length, or choose another source."
    ),
    "sound_other_shape": _(
        "The source learned sounds at %(known)d Hz, these come at %(found)d Hz or with another "
        "window or hop: the same picture is another sound. Check the data again with the source's "
        "settings, or choose another source."
    ),
    "generate_one_class": _(
        "There is only one class. What is of a class is learned beside that of another: choose "
        "data with two classes or more."
    ),
    "generate_too_many_classes": _(
        "There are %(classes)d classes, and %(most)d can be learned at most. Leave some out, or "
        "join those that are alike."
    ),
    "generate_class_too_small": _(
        "Of the class “%(name)s” there are only %(images)d examples to learn from, and %(least)d "
        "are needed. Add some, or leave the class out."
    ),
    "method_needs_labelled_texts": _(
        "This method learns texts of classes. Choose a data set of texts with a column for the "
        "class."
    ),
    "control_token_taken": _(
        "The class “%(name)s” would be told by the token %(token)s. The tokenizer has that token "
        "already, as one that text may contain, so a text could switch the class. Rename the "
        "class, or choose another tokenizer."
    ),
    "control_unknown": _("The checkpoint knows no label “%(name)s”. It knows: %(known)s."),
    "control_none": _(
        "This checkpoint was not trained with labels, so it cannot be asked for texts of a class. "
        "Leave the label out, or choose another checkpoint."
    ),
    "checkpoint_without_classes": _(
        "The checkpoint does not say which classes it makes images of, so nothing tells which of "
        "its rows belongs to which. Choose another one."
    ),
    "judge_no_classifier": _(
        "This checkpoint does not tell classes of images apart, so it cannot judge what is made. "
        "Choose a classifier of images, or none: then a small one is trained."
    ),
    "judge_classes": _(
        "This classifier does not know the class “%(missing)s”, so it cannot judge what is made. "
        "Choose one that was trained on the same classes, or none: then a small one is trained."
    ),
    "class_unknown": _("The checkpoint makes no images of “%(name)s”. It knows: %(known)s."),
    "model_makes_no_images": _(
        "A %(architecture)s makes no images of classes. Choose a checkpoint of a conditional VAE "
        "or GAN."
    ),
    "model_makes_images": _(
        "A %(architecture)s makes images of classes that it knows by name, and this does not carry "
        "the names along. Start a run from the checkpoint instead."
    ),
    "warning_table_no_target": _(
        "No target is chosen yet. Choose the columns that are to be predicted, and the splits are "
        "made so that each class is in all of them."
    ),
    "warning_table_unlabelled": _("%(rows)d rows have no target and were left out."),
    "warning_target_missing": _(
        "%(rows)d of the rows have no value in the target %(column)s. They were kept: a method "
        "learns from them what else they hold."
    ),
    "warning_target_unseen": _(
        "Of the target %(column)s, %(classes)d classes are not in the training rows, among them "
        "%(name)s. No model can learn them; rows with them are not scored."
    ),
    "warning_few_rows": _(
        "There are only %(rows)d rows to train on. A model learns little from so few, and its "
        "scores are uncertain: add rows."
    ),
    "warning_row_duplicates": _(
        "%(duplicates)d of %(rows)d rows (%(percent)d %%) are the same as an earlier one, in every "
        "column. If equal rows are different cases here, keep them: check again with other "
        "settings and do not remove duplicates."
    ),
    "warning_rows_alike": _(
        "%(alike)d of %(rows)d rows (%(percent)d %%) differ from an earlier one only in columns "
        "that are left out. They were kept, in the same split as that one."
    ),
    "warning_row_overlap": _(
        "%(rows)d of %(held_out)d validation and test rows (%(percent)d %%) have the inputs of a "
        "training row, with another target. Scores on them say little about new cases."
    ),
    "warning_row_conflicts": _(
        "%(rows)d rows have the same inputs as another row, but another target. No model can get "
        "all of them right."
    ),
    "warning_gives_away": _(
        "The column %(column)s tells the target %(target)s with certainty. If it is not known "
        "before the target is, leave it out."
    ),
    "warning_columns_ignored": _(
        "%(columns)d columns are left out: %(names)s. Why stands beside each; give it a type if "
        "you want it used."
    ),
    "warning_not_numbers": _(
        "In the column %(column)s, %(rows)d values are no numbers, most often “%(value)s”. They "
        "count as missing; if they mean something, make it a category."
    ),
    "warning_much_missing": _(
        "In %(columns)d columns half of the values or more are missing: %(names)s."
    ),
    "warning_categories_unseen": _(
        "In %(columns)d columns, categories stand outside the training rows only (%(rows)d values "
        "in: %(names)s). To a model they are all the same, unseen."
    ),
    "warning_header_numbers": _(
        "Many columns have numbers as names: %(names)s. The first row is taken for the names; if "
        "it is data, write a row of names above it and upload the file again."
    ),
    # Archives of images and of sounds.
    "archive_broken": _(
        "The ZIP file is damaged or did not arrive whole (%(detail)s). Pack it again and upload "
        "it again."
    ),
    "archive_path": _(
        "The archive has a path that leads out of it: %(name)s. Usual programs make none such. "
        "Pack the files again."
    ),
    "archive_protected": _(
        "The archive is protected by a password. Pack the files again without one."
    ),
    "archive_packed_otherwise": _(
        "The archive is packed in a way that is not read here (%(name)s). Pack the files again "
        "as a usual ZIP file."
    ),
    "archive_too_large": _(
        "The archive has %(files)d files that claim to take %(size)s unpacked; at most %(most)s "
        "in %(most_files)d files are read. Upload it in parts."
    ),
    "images_need_zip": _(
        "Images come in a ZIP archive, and this is none. Pack the folder of images as ZIP and "
        "upload that."
    ),
    "images_none": _(
        "There is no image in the archive: none of its %(files)d files ends in %(endings)s. For "
        "texts, unpack it and upload plain text, CSV or JSON Lines."
    ),
    "images_unreadable": _(
        "None of the %(images)d images can be read. The first: %(name)s (%(reason)s)."
    ),
    "images_too_few": _(
        "There are %(images)d different images; splitting takes at least %(needed)d. Add images "
        "and upload them again."
    ),
    "sounds_need_zip": _(
        "Sounds come in a ZIP archive, and this is none. Pack the folder of WAV files as ZIP and "
        "upload that."
    ),
    "sounds_none": _(
        "There is no sound in the archive that can be read: none of its %(files)d files ends in "
        "%(endings)s. Convert MP3, FLAC, OGG and other kinds to WAV first."
    ),
    "sounds_unreadable": _(
        "None of the %(sounds)d sounds can be read. The first: %(name)s (%(reason)s)."
    ),
    "sounds_silent": _("None of the %(sounds)d sounds can be heard: all of them are silent."),
    "sounds_too_few": _(
        "There are %(sounds)d different sounds; splitting takes at least %(needed)d. Add sounds "
        "and upload them again."
    ),
    "sound_too_long": _(
        "Sounds of %(seconds)s seconds are too long for a hop of %(hop)s ms: at most %(most)s "
        "seconds are learned. Cut them shorter, or choose a longer hop."
    ),
    "mel_bands_too_many": _(
        "In %(empty)d of the %(bands)d mel bands there is no frequency at all with a window of "
        "%(window)s ms at %(rate)d Hz. Choose fewer bands or a longer window."
    ),
    "archive_list_missing": _(
        "There is no list with a column %(column)s in the archive. Put a manifest.csv with the "
        "columns file_name and %(column)s beside the files, or leave the label column empty."
    ),
    "archive_list_without_files": _(
        "The list %(list)s has no column with the names of files. Its columns are: %(columns)s. "
        "Name one of them file_name."
    ),
    "archive_list_fits_nothing": _(
        "None of the %(rows)d rows of %(list)s names a file of the archive; the first names "
        "%(name)s. Names are paths as in the archive."
    ),
    "archive_list_contradicts": _(
        "%(list)s gives %(name)s two different labels, %(one)s and %(other)s. Keep one of the rows."
    ),
    # Remarks on a data set that can be used all the same.
    "warning_images_unreadable": _(
        "%(images)d images could not be read and were left out, the first of them %(name)s "
        "(%(reason)s)."
    ),
    "warning_files_ignored": _(
        "%(files)d files of the archive are no images and were passed over."
    ),
    "warning_sounds_unreadable": _(
        "%(sounds)d sounds could not be read and were left out, the first of them %(name)s "
        "(%(reason)s)."
    ),
    "warning_files_no_sounds": _(
        "%(files)d files of the archive are no WAV files and were passed over."
    ),
    "warning_sounds_missing": _(
        "%(rows)d rows of %(list)s name no sound of the archive, the first of them %(name)s."
    ),
    "warning_sound_duplicates": _(
        "%(duplicates)d of %(sounds)d sounds (%(percent)d %%) are copies of others: as they are "
        "learned, they sound the same."
    ),
    "warning_sounds_unlabelled": _(
        "The sounds have no labels, and only sounds of classes can be learned. Put them into a "
        "folder for each class, or a manifest.csv with the columns file_name and label beside "
        "them."
    ),
    "warning_few_sounds": _(
        "There are only %(sounds)d sounds to train on. What is made of so few is much like them, "
        "or blurred: add sounds."
    ),
    "warning_sounds_silent": _("%(sounds)d silent sounds were left out."),
    "warning_sounds_clipped": _(
        "%(sounds)d sounds (%(percent)d %%) were recorded too loud: their peaks are cut off, which "
        "is heard as distortion and will be learned."
    ),
    "warning_sounds_longer": _(
        "%(sounds)d sounds (%(percent)d %%) are longer than %(seconds)s seconds, and their ends "
        "were cut off. Set a greater length to keep them."
    ),
    "warning_sounds_shorter": _(
        "%(sounds)d sounds (%(percent)d %%) are shorter than half of %(seconds)s seconds: most of "
        "their picture is silence. Set a smaller length if that suits most sounds."
    ),
    "warning_sounds_rates": _(
        "The sounds come at several sampling rates (%(rates)s Hz); all were brought to %(rate)d Hz."
    ),
    "warning_sounds_low_rate": _(
        "%(sounds)d sounds were recorded at less than %(rate)d Hz: they have no high frequencies, "
        "which a model takes for a mark of their class. Set a lower sampling rate if that matters."
    ),
    "warning_first_frames": _("Of %(images)d animated images only the first frame is used."),
    "warning_images_missing": _(
        "%(rows)d rows of %(list)s name no image of the archive, the first of them %(name)s."
    ),
    "warning_image_duplicates": _(
        "%(duplicates)d of %(images)d images (%(percent)d %%) are copies of others, pixel by pixel."
    ),
    "warning_images_unlabelled": _(
        "The images have no labels. To tell classes apart, put them into a folder for each class, "
        "or a manifest.csv with the columns file_name and label beside them."
    ),
    "warning_own_splits": _(
        "The archive's own division into training and test images was not kept: the splits are "
        "made anew, with every class in each."
    ),
    "warning_few_images": _(
        "There are only %(images)d images to train on. A network learns little from so few: start "
        "from a checkpoint, or add images."
    ),
    "warning_imbalance": _(
        "The class %(largest)s has %(most)d examples to train on, %(smallest)s only %(least)d. "
        "Accuracy alone would not show whether the rare classes are recognised."
    ),
    "warning_unlabelled": _("%(examples)d examples have no label and were left out."),
    "warning_labels_are_numbers": _(
        "The labels were taken for numbers that are to be predicted, %(different)d different ones. "
        "If they are names of classes, say so in the settings and check again."
    ),
    "warning_classes_are_numbers": _(
        "The %(classes)d classes are all numbers. If these are amounts that are to be predicted, "
        "such as ages or ratings, say so in the settings and check again."
    ),
    "warning_conflicts": _(
        "%(examples)d examples stand there several times with different labels. The first label "
        "decided which split they are in."
    ),
    "warning_tags_untrained": _(
        "%(tags)d tags are in no training sentence, so they cannot be learned: %(names)s. Another "
        "seed or more data may change that."
    ),
    "warning_tags_once": _(
        "%(tags)d tags stand at a single word, and are hardly learned: %(names)s."
    ),
    "warning_tags_malformed": _(
        "%(tags)d tags break the rules of %(scheme)s, such as an I- that continues nothing. "
        "Nothing was changed: it is learned as it stands, and scored as the beginning of an entity."
    ),
    "warning_tags_conflicts": _(
        "%(sentences)d sentences stand there several times with different tags. They are in one "
        "split; where duplicates are removed, the first one's tags count."
    ),
    "warning_tags_others": _(
        "The tags were read from %(column)s, and %(others)s holds tags too. To learn those, name "
        "the label column and check again."
    ),
    "warning_words_blank": _(
        "%(words)d words are nothing but space. They have no token, so nothing is learned of them."
    ),
    "warning_left_out": _(
        "%(classes)d classes were too rare for the splits and were left out, with %(examples)d "
        "examples."
    ),
    "warning_few_tokens": _(
        "There are only %(tokens)d tokens to train on. A model learns little from so few: start "
        "from a source, or add text."
    ),
    "warning_short_documents": _(
        "%(percent)d%% of the documents have fewer than %(tokens)d tokens. Keep packing on, so "
        "that short ones share a sequence."
    ),
    "warning_long_document": _(
        "Document %(id)d has %(tokens)d tokens, %(percent)d%% of all. A split can hold a document "
        "only whole: cut it up for a fairer one."
    ),
    "warning_duplicates": _(
        "%(duplicates)d of %(documents)d documents (%(percent)d%%) repeat an earlier one."
    ),
    "warning_empty": _("%(empty)d documents are empty and were left out."),
    "warning_maybe_pairs": _(
        "%(column)s is read as the text, and %(partner)s is not read. If each row is a pair of "
        "texts, choose %(partner)s as the second text column."
    ),
    "warning_unpaired": _("%(unpaired)d rows without a second text were left out."),
    "warning_mixed_languages": _(
        "%(han_percent)d%% of the documents are mostly in Chinese characters, the others are not. "
        "A model of one language learns faster."
    ),
    "warning_replaced": _(
        "%(documents)d documents held characters that are no text (NUL, half surrogates). They "
        "were replaced by U+FFFD."
    ),
    "disk_full_writing": _(
        "The disk is full: %(what)s could not be written. Nothing half-written was kept. Free some "
        "space, then start again."
    ),
    # Foreign configurations (training.interop).
    "config_unreadable": _("config.json cannot be read: %(detail)s."),
    "config_model_type": _(
        "config.json says that this is a %(found)s model (model_type), which is not read "
        "here. What is read: %(known)s."
    ),
    "config_unsupported": _(
        "config.json sets %(name)s to %(value)s, which cannot be represented exactly; possible: "
        "%(allowed)s."
    ),
    "config_unknown": _(
        "config.json has a field that Graft does not know, %(name)s. It could change what the "
        "model computes, so the folder was refused."
    ),
    "config_code": _(
        "config.json has %(name)s, which can make a program run code that came with the model. "
        "The folder was refused."
    ),
    "config_contradiction": _("config.json gives %(name)s and %(other)s different values."),
    "config_out_of_range": _("config.json: %(name)s is %(value)s. %(detail)s"),
    # Foreign folders (training.interop.huggingface, importing).
    "folder_missing": _("There is no folder to import from."),
    "folder_code": _(
        "The folder holds program code (%(file)s). Only weights, configuration and tokenizer are "
        "taken; remove the code and try again."
    ),
    "folder_link": _("%(file)s is a link that leads out of the folder; it was refused."),
    "folder_no_config": _("There is no config.json among the files, so this is not a model."),
    "folder_only_pickles": _(
        "The weights are there only as %(file)s, a format that can run code when it is opened, so "
        "they were not read. Convert them where you trust them: "
        "AutoModelForCausalLM.from_pretrained(…).save_pretrained(…, safe_serialization=True)."
    ),
    "folder_only_hdf5": _(
        "The weights are there only as %(file)s, which is not read beside a config.json. Save the "
        "model as safetensors; or with Keras as one .keras file, and import that file."
    ),
    "folder_no_weights": _(
        "There are no weights among the files: model.safetensors is missing. A configuration "
        "alone would be a model with random weights."
    ),
    "index_invalid": _("%(file)s cannot be read: %(detail)s."),
    "shard_missing": _("%(index)s names %(file)s, which is missing."),
    "tensor_twice": _("The tensor %(name)s is in two files, %(file)s and %(other)s."),
    "tensor_two_names": _(
        "The tensors %(one)s and %(other)s stand for the same part of the model, and only one of "
        "them can. Remove the one that does not belong there."
    ),
    "tensors_missing": _(
        "%(count)s of the model's tensors are missing from the weights: %(names)s."
    ),
    "tensors_extra": _(
        "The weights hold %(count)s tensors that a %(model)s of this configuration does not have: "
        "%(names)s."
    ),
    "tensor_shape": _(
        "The tensor %(name)s is %(found)s, and by the configuration it should be %(expected)s."
    ),
    "tensor_type": _(
        "The tensor %(name)s is stored as %(found)s; weights are read as F32, F16 or BF16."
    ),
    "tensor_not_finite": _("The tensor %(name)s holds values that are not finite numbers (NaN)."),
    "head_not_tied": _(
        "config.json says that the head is the token embedding (tie_word_embeddings), but "
        "%(head)s differs from %(embedding)s. Set tie_word_embeddings to false, or remove "
        "%(head)s."
    ),
    # Keras's files (training.interop.keras_files, keras_archive, keras_config, hdf5).
    "keras_several": _(
        "There are several Keras files (%(files)s). Choose one of them, and its tokenizer."
    ),
    "keras_zip": _("%(file)s cannot be read as a .keras file: %(detail)s."),
    "keras_member": _(
        "%(file)s holds %(name)s, which is no part of a Keras model, and was refused."
    ),
    "keras_member_twice": _("%(file)s holds %(name)s twice."),
    "keras_member_missing": _("%(name)s is missing from %(file)s."),
    "keras_too_large": _(
        "%(name)s claims %(size_mb)s MB, more than its model can take or its packed content give, "
        "and was not unpacked."
    ),
    "keras_no_space": _(
        "Unpacking %(name)s needs %(needed_mb)s MB and the disk has %(free_mb)s MB left."
    ),
    "keras_size_lie": _(
        "%(name)s in the .keras file has another size or checksum than the file says."
    ),
    "keras_class": _(
        "The model uses %(name)s, which is not among the layers that are read: KerasHub's GPT-2, "
        "and the GPT-2 that Graft exports itself. Lambda layers and code of one's own are never "
        "run."
    ),
    "keras_graph": _(
        "The layers are not connected as in a GPT-2 that Graft wrote (at %(detail)s)."
    ),
    "keras_weights_unknown": _(
        "%(file)s does not hold the weights of KerasHub's GPT-2. Weights of another model need "
        "their .keras file, which says what they belong to."
    ),
    "keras_no_tokenizer": _(
        "The model has %(vocabulary)s tokens and GPT-2's published vocabulary %(published)s, so it "
        "uses another. Add its tokenizer.json, or vocab.json and merges.txt, to the files."
    ),
    "hdf5_not": _("%(file)s is not an HDF5 file."),
    "hdf5_damaged": _("%(file)s cannot be read: %(detail)s."),
    "hdf5_external_link": _(
        "%(path)s in %(file)s is a link into another file, and was not followed."
    ),
    "hdf5_soft_link": _("%(path)s in %(file)s is a link to another place, and was not followed."),
    "hdf5_external_storage": _("%(path)s in %(file)s keeps its numbers in another file."),
    "hdf5_virtual": _("%(path)s in %(file)s is put together from other files' numbers."),
    "hdf5_chunked": _(
        "%(path)s in %(file)s is stored in pieces or compressed, as Keras never writes weights. "
        "Load it with Keras where you trust it, and save it again."
    ),
    "hdf5_claims": _(
        "%(path)s in %(file)s claims %(claimed_mb)s MB, which the file of %(size_mb)s MB does not "
        "hold."
    ),
    "hdf5_type": _("%(path)s in %(file)s is not weights but %(type)s."),
    "hdf5_twice": _("%(path)s in %(file)s is another name of something that is there already."),
    "hdf5_too_many": _("%(file)s holds more objects than any model (at %(path)s)."),
    "hdf5_name_too_long": _("A name in %(file)s is too long (it begins with %(path)s)."),
    "hdf5_too_deep": _("The groups in %(file)s are nested too deeply (at %(path)s)."),
    # Exports (training.interop.exporting).
    "export_architecture": _("%(architecture)s models cannot be written as %(format)s."),
    "export_not_in_timm": _(
        "timm, which opens the Hub's models of images, has no network of this shape, so it cannot "
        "be written as %(format)s. Choose one of the other forms."
    ),
    "export_banded": _(
        "transformers has no class that opens this %(architecture)s model, so it cannot be written "
        "as %(format)s. Only one whose layers are all dense can: it is a GPT-2."
    ),
    "export_too_large": _(
        "%(format)s holds %(limit_gb)s GB in one file, and these weights take %(size_gb)s GB in "
        "float32. Choose another form."
    ),
    "export_differs": _(
        "The exported file computes something else than the checkpoint: its outputs differ by up "
        "to %(largest)s, and %(allowed)s is allowed. It was thrown away."
    ),
    "export_not_opened": _(
        "The exported file could not be opened again as %(format)s, and was thrown away: %(detail)s"
    ),
    "export_changed": _("%(file)s is not the checkpoint's own after it was copied."),
    # State dicts without a configuration of ours (training.interop.state_dicts).
    "state_dict_unknown": _(
        "The tensors in %(file)s belong to no network that is known here by its names. Known: "
        "%(known)s. Put the config.json beside it that it came with, and import the folder."
    ),
    "state_dict_ambiguous": _(
        "These tensors fit more than one network, and they compute different things: "
        "%(candidates)s. Import a folder with the config.json that timm writes, which names the "
        "network (architecture)."
    ),
    "state_dict_sizes": _(
        "The tensors have the names of %(model)s, but their shapes are those of no such network."
    ),
    "vit_heads_unknown": _(
        "This is a vision transformer of the width %(width)s. How many attention heads it has "
        "shows in no tensor, and is known for these widths only: %(known)s."
    ),
    "timm_unknown": _(
        "config.json names timm's network %(found)s, which is not read here. What is read: "
        "%(known)s."
    ),
    # The Hub (training.interop.hub).
    "hub_name_invalid": _(
        "%(repository)s is not a model's name on the Hub. It should look like gpt2 or owner/name."
    ),
    "hub_endpoint_invalid": _("%(endpoint)s is not an address of a Hub: https://… is needed."),
    "hub_plain_http": _(
        "The token would go to %(endpoint)s unencrypted, where others can read it. An address with "
        "https:// is needed."
    ),
    "hub_not_found": _(
        "There is no model %(repository)s at %(endpoint)s, or it is private. Look for a typing "
        "error in the name."
    ),
    "hub_gated": _(
        "The model %(repository)s is only given to people who accepted its terms at %(endpoint)s. "
        "Download it there yourself and import the folder."
    ),
    "hub_revision_not_found": _("The model %(repository)s has no revision %(revision)s."),
    "hub_unreachable": _(
        "%(endpoint)s cannot be reached. Look at the network, or set another address of the Hub "
        "(HF_ENDPOINT)."
    ),
    "hub_token_missing": _("A token of the Hub that may write is needed to send a model there."),
    "hub_token_refused": _(
        "%(endpoint)s did not accept the token for %(repository)s. It must be allowed to write, "
        "and the name's first part must be yours or your organisation's."
    ),
    "hub_arrived_damaged": _(
        "%(file)s is not at %(endpoint)s as it was sent (its hash differs). Try again."
    ),
    "hub_offline": _("Downloads are switched off (HF_HUB_OFFLINE)."),
    "hub_answer": _("%(endpoint)s answered with an error (%(status)s). Try again later."),
    "download_cut": _(
        "The connection broke while %(file)s was coming in, after %(received_mb)s of "
        "%(total_mb)s MB. What came in was kept; starting again goes on from there."
    ),
    "download_disk_full": _(
        "The disk became full while %(what)s was coming in. What came in was kept. Free some "
        "space, then start again."
    ),
    "download_damaged": _(
        "%(file)s did not arrive as the Hub has it (its hash differs), and was thrown away."
    ),
    "download_no_space": _(
        "The download needs %(needed_mb)s MB and the disk has %(free_mb)s MB left."
    ),
    "internal": _("Something went wrong inside Graft: %(detail)s"),
}


class TrainingError(Exception):
    """A refusal with a code from :data:`MESSAGES`.

    Args:
        code: Key of :data:`MESSAGES`.
        field: Dotted path of the spec's field at fault (``training.learning_rate``), if one is.
        params: Values of the sentence's placeholders; JSON types only.

    Raises:
        KeyError: When the code has no sentence: a bug in the caller.
    """

    def __init__(self, code: str, *, field: str | None = None, **params: Any) -> None:
        self.code = code
        self.field = field
        self.params = params
        super().__init__(MESSAGES[code] % params)
