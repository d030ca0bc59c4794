"""Five kinds of model servers behind one pipeline, killed and started again while events flow."""
