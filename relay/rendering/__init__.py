"""What a person sees of a stored mail: safe HTML, text, attachments with names that do no harm. Pure, and total."""
