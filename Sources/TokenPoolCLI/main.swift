print("tokenpool")
