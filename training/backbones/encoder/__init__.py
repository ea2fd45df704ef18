"""What BERT, DistilBERT and RoBERTa have in common; each of them says its names and sizes."""
