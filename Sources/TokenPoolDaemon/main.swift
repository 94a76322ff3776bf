print("tokenpoold")
